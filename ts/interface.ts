/** How this process was started. Worked out once, from the environment alone; see `explain()`. */
export type Deployment =
  | 'standalone'
  | 'cluster'
  | 'midway-cluster'
  | 'pm2-cluster'
  | 'pm2-fork'
  | 'egg'
  | 'thread'
  | 'configured';

/** A member's role, decided by election. */
export type Role = 'primary' | 'worker';

/** The component's configuration, under the key `processAgent`. */
export interface ProcessAgentConfig {
  /**
   * A group name. It overrides the detected deployment: every process of this user on this host (same pid and
   * network namespace) that gives the same name is a member of one group. 1 to 100 of `A-Z a-z 0-9 . _ : @ -`.
   * The environment variable `MIDWAY_PROCESS_AGENT_GROUP` does the same; if both are given, they must be equal.
   */
  group?: string;
  /**
   * The folder that holds the groups' folders: an absolute path, owned by this user, not writable by others; made with
   * mode 0700 when missing. Default: a path fixed per user id, so that two shells can't make two groups.
   */
  runtimeDir?: string;
  /** Whether this process may become primary. Default `true`; `false` for scripts and migrations. */
  candidate?: boolean;
  /** How long (ms) a call waits for a primary that is still starting. Default 25,000. */
  readyTimeout?: number;
  /** How long (ms) a stopping primary goes on answering calls that it has accepted. Default 1,200. */
  stopTimeout?: number;
  /** The largest size (bytes) of one call's encoded arguments or result. Default 64 MiB, at most 1 GiB. */
  maxPayload?: number;
  /** How many calls of this process may be unanswered at once. Default 10,000. */
  maxPending?: number;
}

export interface CallOptions {
  /** End the call after this many milliseconds. Default: none; death of the primary ends a call by itself. */
  timeout?: number;
}

export interface RunInPrimaryOptions extends CallOptions {
  /** The name of the method between processes. Default: provider id or class name, and the method's name. */
  name?: string;
}

export interface Member {
  /** Unique within a tenure of the primary; joining again gives a new id. */
  id: number;
  pid: number;
  /** Worker thread id; 0 for a process's main thread. */
  threadId: number;
  role: Role;
  deployment: Deployment;
  /** `ready` once the member's own start-up has finished. */
  state: 'starting' | 'ready' | 'leaving';
  /** When the member joined (ms since 1970). */
  joinedAt: number;
  /** When its process started (ms since 1970). */
  startedAt: number;
  /** Version of this package in that member. */
  version: string;
  candidate: boolean;
}

/** What was decided about this process, and why, in words. */
export interface Explanation {
  deployment: Deployment;
  group: string;
  /** The group's folder; `undefined` in `standalone`, which has none. */
  folder: string | undefined;
  role: Role | undefined;
  epoch: number;
  /** One sentence per decision. */
  reasons: string[];
}

/** Events of ProcessAgentService. */
export interface AgentEvents {
  /** This process has become primary. */
  primary: [tenure: { epoch: number }];
  /** This process has become a worker. */
  worker: [tenure: { epoch: number }];
  /** The group has another primary than before (also when it is this process). */
  'primary-changed': [primary: { epoch: number; pid: number }];
  'member-joined': [member: Member];
  'member-left': [member: Member];
}
