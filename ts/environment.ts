/** What the environment says of this process now. Asked for at a start or a call: nothing of it is loaded before. */
import type { Cluster } from 'node:cluster';
import type { Decision } from './role/decision';

export function decideNow(configuredGroup: string | undefined, hasThreads = false): Decision {
  const { decide } = require('./role/deployment') as typeof import('./role/deployment');
  const { takeSnapshot } = require('./role/snapshot') as typeof import('./role/snapshot');
  const snapshot = takeSnapshot(configuredGroup);
  snapshot.thread.hasMembers = hasThreads;
  return decide(snapshot);
}

/** Whether this process has cluster workers. */
export function hasForked(): boolean {
  const { workers } = require('node:cluster') as Cluster;
  return workers !== undefined && Object.keys(workers).length > 0;
}

/**
 * Tells the cluster workers of this process that their primary loads this package, so that they let it go first in
 * the election. Set at load, because a worker takes the environment of the moment of its fork. Other children inherit
 * it and are not misled: a reader compares it with its own parent's pid.
 */
export function announceToWorkers(): void {
  if (process.env.MIDWAY_PROCESS_AGENT_PRIMARY === String(process.ppid)) {
    // Set by the parent: its cluster workers, and their threads, have to go on seeing it.
    const cluster = require('node:cluster') as Cluster;
    const { isMainThread } = require('node:worker_threads') as typeof import('node:worker_threads');
    if (cluster.isWorker || !isMainThread) {
      return;
    }
  }
  process.env.MIDWAY_PROCESS_AGENT_PRIMARY = String(process.pid);
}
