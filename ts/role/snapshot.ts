/**
 * Reads what a deployment is decided from. Nothing is started, loaded or written, and it takes well under a
 * millisecond: every application does this once, also the standalone ones.
 */
import { execFileSync } from 'node:child_process';
import type { Cluster } from 'node:cluster';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { isMainThread, threadId } from 'node:worker_threads';
import type { Snapshot } from './decision';

// The module is the cluster object itself, which its types deny.
const cluster = require('node:cluster') as Cluster;

/** The variables that the decision looks at; besides them only the one that pm2's `instance_var` names. */
export const ENVIRONMENT_KEYS = [
  'MIDWAY_PROCESS_AGENT_GROUP',
  'MIDWAY_PROCESS_AGENT_PRIMARY',
  'MIDWAY_FORK_MODE',
  'PM2_HOME',
  'pm_id',
  'name',
  'namespace',
  'exec_mode',
  'exec_interpreter',
  'pm_exec_path',
  'instance_var',
  'NODE_APP_INSTANCE',
  'npm_lifecycle_event',
  'npm_lifecycle_script',
  'JEST_WORKER_ID',
  'VITEST_POOL_ID',
  'VITEST_WORKER_ID',
] as const;

/** What is true of this process (and thread) now. `configuredGroup` is `processAgent.group`. */
export function takeSnapshot(configuredGroup?: string): Snapshot {
  const { pid, ppid, platform } = process;
  const env = readEnvironment(process.env);
  return {
    platform,
    pid,
    ppid,
    argv: process.argv.slice(0, 2),
    env,
    cluster: {
      isWorker: isMainThread ? cluster.isWorker : isThreadOfClusterWorker(),
      workers: Object.keys(cluster.workers ?? {}).length,
      isSetUp: Object.keys(cluster.settings ?? {}).length > 0,
    },
    thread: { isMain: isMainThread, id: threadId },
    get startMark() {
      return startMark(pid);
    },
    get parentStartMark() {
      return startMark(ppid);
    },
    pm2DaemonPid: readPm2DaemonPid(env),
    configuredGroup,
  };
}

function readEnvironment(from: NodeJS.ProcessEnv): Record<string, string> {
  const env: Record<string, string> = {};
  const keys: string[] = [...ENVIRONMENT_KEYS];
  if (from.instance_var) {
    keys.push(from.instance_var);
  }
  for (const key of keys) {
    const value = from[key];
    if (value !== undefined) {
      env[key] = value;
    }
  }
  return env;
}

/**
 * Node takes NODE_UNIQUE_ID out of a cluster worker's `process.env`, so a worker thread can't see it; the environment
 * that the process was started with still has it. Children of the worker don't inherit it. Linux only: elsewhere a
 * cluster worker's thread looks like any process's thread.
 */
function isThreadOfClusterWorker(): boolean {
  const environment = process.platform === 'linux' ? read('/proc/self/environ') : '';
  return environment.startsWith('NODE_UNIQUE_ID=') || environment.includes('\0NODE_UNIQUE_ID=');
}

/** pm2 writes the pid of its daemon, which is the parent of every app, whether it went to the background or not. */
function readPm2DaemonPid(env: Record<string, string>): number | undefined {
  if (env.pm_id === undefined) {
    return undefined;
  }
  const pid = Number(read(join(env.PM2_HOME || join(homedir(), '.pm2'), 'pm2.pid')).trim());
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

function startMark(pid: number): string {
  switch (process.platform) {
    case 'linux':
      return startTimeInStat(read(`/proc/${pid}/stat`));
    case 'darwin':
      return startTimeFromPs(pid);
    default:
      return '';
  }
}

/** Field 22, in clock ticks since boot. The second field is the command in brackets, which may hold `) ` itself. */
export function startTimeInStat(stat: string): string {
  const afterCommand = stat.lastIndexOf(') ');
  return afterCommand < 0 ? '' : (stat.slice(afterCommand + 2).split(' ')[19] ?? '');
}

function startTimeFromPs(pid: number): string {
  try {
    // One language and one time zone, or two members would print the same moment differently.
    const env = { LC_ALL: 'C', TZ: 'UTC0' } as NodeJS.ProcessEnv;
    const out = execFileSync('/bin/ps', ['-o', 'lstart=', '-p', String(pid)], {
      env,
      encoding: 'utf8',
      timeout: 2000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return out.trim().replace(/\s+/g, ' ');
  } catch {
    return '';
  }
}

/** The file's text, or '' where it can't be read: what can't be read proves nothing. */
function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
