import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { bundle } from '../support/bundle';
import { environment } from '../support/processes';
import { projectFolder } from '../support/project';
import { within } from '../support/until';

const sources = path.join(__dirname, '..', 'app', 'bundle', 'src');

interface Answer {
  value?: string;
  error?: { code?: string; outcome?: string; message: string };
}

describe.each(['v3', 'v4'] as const)('an application in one file, Midway %s', project => {
  // Below the project, because packages stay outside the file.
  const folder = mkdtempSync(path.join(projectFolder(project), 'bundle-'));
  const group = path.basename(folder);
  let members: ChildProcess[] = [];

  afterEach(async () => {
    for (const member of members.filter(each => each.exitCode === null)) {
      const exited = once(member, 'exit');
      member.kill('SIGKILL');
      await exited;
    }
    members = [];
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Starts a process of that program; the answer is its role, or why it did not start. */
  async function start(name: string): Promise<[ChildProcess, Answer]> {
    const file = path.join(folder, `${name}.js`);
    writeFileSync(file, bundle(path.join(sources, `${name}.ts`)));
    const env = environment({ MIDWAY_PROCESS_AGENT_GROUP: group });
    const member = fork(file, { cwd: folder, env, serialization: 'advanced', silent: true });
    members.push(member);
    return [member, await answer(member, `the start of ${name}`)];
  }

  async function call(member: ChildProcess, cls: string, method: string): Promise<Answer> {
    const answered = answer(member, `${cls}.${method}`);
    member.send([cls, method]);
    return answered;
  }

  it('calls each class, also one of the same name and a subclass, in the primary', async () => {
    const [primary, role] = await start('current');
    const [worker, other] = await start('current');
    expect([role, other]).toEqual([{ value: 'primary' }, { value: 'worker' }]);
    for (const [cls, method, said] of [
      ['User', 'save', 'user'],
      ['Customer', 'save', 'customer'],
      ['Job', 'run', 'job'],
      ['NightJob', 'run', 'night job'],
    ]) {
      expect(await call(worker, cls, method)).toEqual({ value: `${primary.pid} ${said}` });
    }
  });

  it('of a newer version calls what the primary has, and is told what it does not have', async () => {
    const [primary] = await start('current');
    const [worker, role] = await start('next');
    expect(role).toEqual({ value: 'worker' });
    expect(await call(worker, 'Job', 'run')).toEqual({ value: `${primary.pid} job` });
    const { error } = await call(worker, 'Job', 'cancel');
    expect(error).toMatchObject({ code: 'ERR_AGENT_UNKNOWN_METHOD', outcome: 'not-sent' });
    expect(error?.message).toContain(`Pid ${primary.pid} knows no method 'Job.cancel'`);
  });

  it('does not start when two of its classes can not be told apart', async () => {
    const [, { error }] = await start('ambiguous');
    expect(error?.message).toContain('ERR_AGENT_AMBIGUOUS');
    expect(error?.message).toContain("@Provide('id')");
  });
});

/** What it says next; Bootstrap prints why an application does not start, and ends the process. */
async function answer(member: ChildProcess, what: string): Promise<Answer> {
  let printed = '';
  const print = (piece: Buffer) => {
    printed += piece;
  };
  member.stdout?.on('data', print);
  member.stderr?.on('data', print);
  const ended = once(member, 'close').then(() => ({ error: { message: printed } }));
  const message = once(member, 'message').then(([told]) => told);
  return (await within(Promise.race([message, ended]), { what, timeout: 30_000 })) as Answer;
}
