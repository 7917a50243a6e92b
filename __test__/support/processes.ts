import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as path from 'node:path';
import { within } from './until';

interface StartOptions {
  cwd: string;
  env?: Record<string, string>;
  /** Opens a channel for `process.send`. */
  channel?: boolean;
}

/** Midway and egg write their logs under HOME. */
const home = path.join(__dirname, '..', '..', '.work', 'home');

/** What is inherited from the test run's own environment: as little as Node and npm's packages need. */
const inherited = ['PATH', 'LANG', 'TMPDIR', 'TEMP', 'SystemRoot', 'LD_LIBRARY_PATH', 'MIDWAY_PROCESS_AGENT_LANE'];

export function environment(env: Record<string, string> = {}): Record<string, string> {
  const kept = inherited.flatMap(name => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  return { ...Object.fromEntries(kept), NODE_ENV: 'production', HOME: home, ...env };
}

/** A process that a test has started, with what it has printed. It leads a process group of its own. */
export class Running {
  private printed = '';
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  constructor(readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8');
      stream?.on('data', piece => {
        this.printed += piece;
      });
    }
    this.exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  }

  get pid(): number {
    return this.child.pid as number;
  }

  get output(): string {
    return this.printed;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** The next message on the channel. */
  async message<T>(what: string, timeout = 30_000): Promise<T> {
    const [message] = await within(
      Promise.race([
        once(this.child, 'message'),
        this.exited.then(({ code, signal }) => {
          throw new Error(`ended with ${code ?? signal} before it said ${what}:\n${this.printed}`);
        }),
      ]),
      { what, timeout },
    );
    return message;
  }

  /** Ends it and whatever it has started, and waits until it is gone. */
  async kill(): Promise<void> {
    killGroup(this.pid);
    await within(this.exited, { what: `process ${this.pid} to end after SIGKILL`, timeout: 10_000 });
  }
}

const running = new Set<Running>();

/** A process of Node. */
export function start(args: string[], options: StartOptions): Running {
  return run(process.execPath, args, options);
}

/** A process of any program. */
export function run(program: string, args: string[], options: StartOptions): Running {
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: environment(options.env),
    stdio: ['ignore', 'pipe', 'pipe', ...(options.channel ? (['ipc'] as const) : [])],
    detached: process.platform !== 'win32',
  });
  const started = new Running(child);
  running.add(started);
  return started;
}

/** Runs to its end and gives back what it printed. */
export async function runToEnd(args: string[], options: StartOptions, timeout = 60_000) {
  const process = start(args, options);
  const { code, signal } = await within(process.exited, { what: `${args.join(' ')} to end`, timeout });
  return { code, signal, output: process.output };
}

/** For `afterEach`: ends every process that is still there. */
export async function killAll(): Promise<void> {
  const all = [...running];
  running.clear();
  await Promise.all(all.map(one => one.kill()));
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Kills a leader and its group; the group may outlive its leader. */
function killGroup(pid: number): void {
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') {
      throw error;
    }
  }
}
