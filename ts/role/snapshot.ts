/**
 * Reads what a deployment is decided from. Nothing is started, loaded or written, and it takes well under a
 * millisecond: every application does this once, also the standalone ones.
 */
import type { Cluster } from 'node:cluster';
import { isMainThread, threadId } from 'node:worker_threads';
import type { Snapshot } from './decision';
import { readPm2Daemon } from './pm2-daemon';
import { startMark } from './process-info';
import { readRegularFile } from './read-file';
import { readTestRunner } from './test-runner';

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
  'VITEST',
  'VITEST_POOL_ID',
] as const;

/** What is true of this process (and thread) now. `configuredGroup` is `processAgent.group`. */
export function takeSnapshot(configuredGroup?: string | false): Snapshot {
  const { pid, ppid, platform } = process;
  const env = readEnvironment(process.env);
  const daemon = env.pm_id === undefined ? undefined : readPm2Daemon(process.env, ppid);
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
    pm2DaemonPid: daemon?.pid,
    pm2Home: daemon?.home,
    testRunner: readTestRunner(),
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
  const environment = process.platform === 'linux' ? readRegularFile('/proc/self/environ') : '';
  return environment.startsWith('NODE_UNIQUE_ID=') || environment.includes('\0NODE_UNIQUE_ID=');
}
