/** The managers that a feature is tried under, each as a function that starts the application in three processes. */
import { clusterManager, type Deployed, type DeployOptions, nodeCluster, plainNode } from './deployments';
import { Pm2 } from './pm2';

export type Way = keyof typeof ways;
type Options = Pick<DeployOptions, 'env' | 'workers'>;

let pm2: Pm2 | undefined;
let groups = 0;

export const ways = {
  'ClusterManager of Midway 3': (options: Options) => clusterManager({ project: 'v3', ...options }),
  'ClusterManager of Midway 4': (options: Options) => clusterManager({ project: 'v4', ...options }),
  'node:cluster, the application in its primary, too': (options: Options) =>
    nodeCluster({ appInPrimary: true, ...options, workers: (options.workers ?? 3) - 1 }),
  'pm2 in cluster mode': (options: Options) => underPm2('cluster', options),
  'pm2 in fork mode': (options: Options) => underPm2('fork', options),
  'plain processes with one group name': (options: Options) =>
    plainNode({ group: `ways-${process.pid}-${Date.now()}-${++groups}`, ...options }),
};

/** Starts the application in that way; `processAgent` is its configuration. */
export function startBy(way: Way, processAgent: object = {}, options: Options = {}): Promise<Deployed> {
  const env = { PROCESS_AGENT_CONFIG: JSON.stringify(processAgent), ...options.env };
  return ways[way]({ ...options, env });
}

/** For `afterAll`: ends what pm2 has started. What the test started itself, `killAll` ends. */
export async function killPm2(): Promise<void> {
  await pm2?.kill();
  pm2 = undefined;
}

async function underPm2(mode: 'cluster' | 'fork', { workers = 3, env }: Options): Promise<Deployed> {
  pm2 ??= new Pm2();
  return pm2.start({ name: `${mode}-${++groups}`, mode, instances: workers, env });
}
