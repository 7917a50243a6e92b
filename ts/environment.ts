/** What the environment says of this process now. Asked for at a start or a call: nothing of it is loaded before. */
import type { Cluster } from 'node:cluster';
import type { Decision } from './role/decision';

export function decideNow(configuredGroup: string | false | undefined, hasThreads = false): Decision {
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
