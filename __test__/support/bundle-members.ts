/** Processes whose application is in one file (__test__/app/bundle/src/start.ts). */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { environment } from './processes';
import { within } from './until';

export interface Answer {
  value?: string;
  error?: { code?: string; outcome?: string; message: string };
}

export class BundleMember {
  /** What it has written, of both kinds. */
  printed = '';

  constructor(readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (piece: Buffer) => {
        this.printed += piece;
      });
    }
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  call(cls: string, method: string): Promise<Answer> {
    const answered = this.answer(`${cls}.${method}`);
    this.child.send([cls, method]);
    return answered;
  }

  /** What it says next; Bootstrap prints why an application does not start, and ends the process. */
  async answer(what: string): Promise<Answer> {
    const ended = once(this.child, 'close').then(() => ({ error: { message: this.printed } }));
    const message = once(this.child, 'message').then(([told]) => told);
    return (await within(Promise.race([message, ended]), { what, timeout: 30_000 })) as Answer;
  }
}

/** The members of one group, whose programs lie in `folder`. */
export class BundleMembers {
  #members: BundleMember[] = [];

  constructor(private readonly folder: string) {}

  /** Starts a process of that program; the answer is its role, or why it did not start. */
  async start(name: string, program: string): Promise<[BundleMember, Answer]> {
    const file = path.join(this.folder, `${name}.js`);
    writeFileSync(file, program);
    const env = environment({ MIDWAY_PROCESS_AGENT_GROUP: path.basename(this.folder) });
    const member = new BundleMember(fork(file, { cwd: this.folder, env, serialization: 'advanced', silent: true }));
    this.#members.push(member);
    return [member, await member.answer(`the start of ${name}`)];
  }

  async kill(): Promise<void> {
    for (const { child } of this.#members.filter(each => each.child.exitCode === null)) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    this.#members = [];
  }
}
