import type { Deployment } from '../interface';
import type { TestRunner } from './test-runner';

/**
 * Everything that a deployment is decided from, as plain data, so that the decision is a pure function and real
 * managers' snapshots can be kept as fixtures.
 */
export interface Snapshot {
  platform: string;
  pid: number;
  ppid: number;
  /** The first two of `process.argv`: Node and the script. The rest may hold secrets and tells nothing. */
  argv: string[];
  /** Only the variables that the decision looks at (see `ENVIRONMENT_KEYS`). */
  env: Record<string, string>;
  cluster: {
    /** This process is a cluster worker. True in its worker threads too, where `cluster.isWorker` is always false. */
    isWorker: boolean;
    /** How many living workers this process has forked itself. */
    workers: number;
    /** `cluster.setupPrimary()` was called (each fork does it): a cluster primary, also when its workers are dead. */
    isSetUp: boolean;
  };
  /** `worker_threads`: main thread or not, the thread's id, and whether threads of this process are members. */
  thread: { isMain: boolean; id: number; hasMembers?: boolean };
  /** An opaque mark of when this process started, so that a reused pid is told apart; '' where it can't be had. */
  readonly startMark: string;
  /** The same of the parent. Both are read when asked for: in macOS that starts a process. */
  readonly parentStartMark: string;
  /** The pid in `$PM2_HOME/pm2.pid`, when `pm_id` is in the environment and the file can be read. */
  pm2DaemonPid: number | undefined;
  /** PM2_HOME as an absolute path without links, when `pm_id` is in the environment. */
  pm2Home: string | undefined;
  /** The test runner that is seen from inside this process, apart from the script that it runs. */
  testRunner: TestRunner | undefined;
  /** `processAgent.group` of the application's configuration. */
  configuredGroup: string | false | undefined;
}

export interface Decision {
  deployment: Deployment;
  /** The group's name as people read it, e.g. `pm2:default/api` or `cluster:4711`. */
  group: string;
  /** What makes the group the same in all its members: hashed, with user and namespaces, to the group's folder. */
  groupKey: string;
  /** Whether this process may become primary, as far as its deployment says; `processAgent.candidate` can only narrow it. */
  candidate: boolean;
  /** This process goes first in the election. */
  preferred: boolean;
  /** Somebody else may be preferred: wait for it, bounded, when there has been no primary yet. */
  waitForPreferred: boolean;
  /** One sentence per reason, for `explain()`. */
  reasons: string[];
  /** Something a user should know once, as a warning, e.g. a manager hidden behind `npm start`. */
  warning: string | undefined;
}
