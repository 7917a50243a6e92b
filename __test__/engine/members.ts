import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { environment } from '../support/processes';
import type { Runtime } from '../support/runtimes';
import { until, within } from '../support/until';

/** What a member tells its parent. */
export interface Told {
  type: string;
  pid: number;
  /** Monotonic clock, in ms, the same in all processes. */
  at: number;
  // biome-ignore lint/suspicious/noExplicitAny: what a test looks at, it checks
  [key: string]: any;
}

export interface MemberOptions {
  group?: string;
  config?: Record<string, unknown>;
  decision?: Record<string, unknown>;
  /** Its own start-up does not finish until `markReady`. */
  starting?: boolean;
  /** It ends as soon as nothing keeps it. */
  idle?: boolean;
  uid?: number;
  /** The oldest and the newest version of the protocol that it speaks. */
  protocols?: [number, number];
  /** It keeps an account of each call. */
  invocations?: boolean;
  /** It has a registry, of this copy of prom-client. */
  client?: string;
  /** It runs in this program, and not in Node: values to and from it are JSON then. */
  runtime?: Runtime;
}

/** A real process with an engine. */
export class Process {
  readonly told: Told[] = [];
  readonly child: ChildProcess;
  readonly exited: Promise<unknown>;
  private readonly listeners = new Set<() => void>();
  private request = 0;

  constructor(options: MemberOptions & { runtimeDir: string }) {
    const { group = 'test', runtimeDir, config, decision, uid, protocols, invocations, client, runtime } = options;
    this.child = fork(join(__dirname, 'member.js'), {
      env: environment({
        MEMBER: JSON.stringify({ group, runtimeDir, config, decision, protocols, invocations }),
        ...(client ? { MEMBER_CLIENT: client } : {}),
        ...(options.starting ? { STARTING: '1' } : {}),
        ...(options.idle ? { IDLE: '1' } : {}),
      }),
      ...(runtime
        ? { execPath: runtime.program, execArgv: runtime.args }
        : { serialization: 'advanced', execArgv: ['--expose-gc'] }),
      uid,
    });
    this.exited = once(this.child, 'exit');
    this.child.on('message', message => {
      this.told.push(message as Told);
      for (const listener of this.listeners) {
        listener();
      }
    });
  }

  get pid(): number {
    return this.child.pid as number;
  }

  /** The first thing told that `is` accepts, from the beginning on. */
  async until(what: string, is: (told: Told) => boolean, timeout = 30_000): Promise<Told> {
    let listener = () => {};
    try {
      return await within(
        new Promise<Told>((resolve, reject) => {
          listener = () => {
            const found = this.told.find(is);
            if (found) {
              resolve(found);
            }
          };
          this.listeners.add(listener);
          listener();
          this.exited.then(() => reject(new Error(`pid ${this.pid} ended before ${what}: ${inspect(this.told)}`)));
        }),
        { what: `${what} in pid ${this.pid}`, timeout },
      );
    } finally {
      this.listeners.delete(listener);
    }
  }

  started(): Promise<Told> {
    return this.until('its start', told => told.type === 'started');
  }

  /** Runs a command of member.js there; rejects with what it threw, as data. */
  async run<T>(command: string, ...args: unknown[]): Promise<T> {
    const id = ++this.request;
    this.child.send({ id, command, args });
    const { value, error } = await this.until(command, told => told.type === 'result' && told.id === id);
    if (error) {
      throw error;
    }
    return value;
  }

  /** Stops the whole process, and waits until all of it stands still. */
  async freeze(): Promise<void> {
    this.child.kill('SIGSTOP');
    const stat = `/proc/${this.pid}/stat`;
    await until(() => readFileSync(stat, 'utf8').split(') ')[1].startsWith('T'), {
      what: `pid ${this.pid} to stand still`,
      every: 1,
    });
  }

  call<T>(name: string, ...args: unknown[]): Promise<T> {
    return this.run('call', name, args);
  }
}

/** Processes of one test; all are killed at its end. */
export class Processes {
  readonly runtimeDir = mkdtempSync(join(tmpdir(), 'agent-engine-'));
  readonly all: Process[] = [];

  start(options: MemberOptions = {}): Process {
    const process = new Process({ runtimeDir: this.runtimeDir, ...options });
    this.all.push(process);
    return process;
  }

  /** A primary and some workers that follow it, all started. */
  async group(workers: number, options: MemberOptions = {}): Promise<{ primary: Process; workers: Process[] }> {
    const primary = this.start(options);
    await primary.started();
    const others = Array.from({ length: workers }, () => this.start(options));
    await Promise.all(others.map(each => each.started()));
    return { primary, workers: others };
  }

  async end(): Promise<void> {
    for (const { child } of this.all) {
      child.kill('SIGKILL');
    }
    await Promise.all(this.all.map(each => each.exited));
    rmSync(this.runtimeDir, { recursive: true, force: true });
  }
}

/** The monotonic clock that the members' times are of. */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
