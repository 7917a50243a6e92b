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
   * `false` switches grouping off: each application is standalone, however it was started. In a process or thread that
   * a test runner runs, the variable alone counts.
   */
  group?: string | false;
  /**
   * The folder that holds the groups' folders: an absolute path, owned by this user, not writable by others; made with
   * mode 0700 when missing. Default: a path fixed per user id, so that two shells can't make two groups.
   */
  runtimeDir?: string;
  /**
   * For an application that starts as root and gives that up later, with `process.setuid()`: the id of the user that it
   * becomes. The group's folder belongs to that user from the beginning, or no process could come back into its group
   * after the change. Linux; without effect in a process that does not start as root.
   */
  user?: number;
  /** Whether this process may become primary. Default `true`; `false` for scripts and migrations. */
  candidate?: boolean;
  /** How long (ms) a call waits for a primary that is still starting. Default 25,000, at least 500. */
  readyTimeout?: number;
  /** How long (ms) a stopping primary goes on answering calls that it has accepted. Default 1,200. */
  stopTimeout?: number;
  /** The largest size (bytes) of one call's encoded arguments or result. Default 64 MiB, at most 1 GiB. */
  maxPayload?: number;
  /** How many calls of this process may be unanswered at once. Default 10,000. */
  maxPending?: number;
  /**
   * How many bytes of encoded arguments may be unanswered at once: of the calls that this process makes, and of those
   * that it has accepted as primary. The same holds for results that callers have not read. Default 256 MiB.
   */
  maxPendingBytes?: number;
  /** What the others do about a primary that no longer runs, though it lives. */
  primary?: PrimaryConfig;
  /** When the group is healthy. */
  health?: HealthConfig;
  /** Where this process's metrics are, and how those of the group become one. */
  metrics?: MetricsConfig;
  /**
   * Answers `/metrics`, `/health`, `/live` and `/members` over HTTP, from the primary and beside its event loop: also
   * when no event loop of the group turns. Off by default. Nobody is asked who he is, so `host` should be reachable for
   * your monitoring alone.
   */
  admin?: AdminConfig;
  /**
   * Whether calls that run locally, in the primary and in `standalone`, are checked for what could not be sent to
   * another process: `warn` logs it once per method, `error` throws `ERR_AGENT_NOT_SERIALIZABLE`. Real objects are
   * passed either way. Default: `warn` where Midway's environment (`MIDWAY_SERVER_ENV`, else `NODE_ENV`) is
   * `local`, `test` or `unittest`, else `off`: `development` is none of these.
   */
  strictCopy?: 'off' | 'warn' | 'error';
  /**
   * Whether a process that expects an answer may wait awake for it before it goes to sleep: at most 50 µs at a time, and
   * at most 5 % of all time in vain; never with other work waiting, nor on a machine (or cgroup) with one processor.
   * Default `true`.
   */
  spin?: boolean;
}

export interface PrimaryConfig {
  /**
   * How long (ms) the primary's event loop may be silent before it is relieved, if another member can take over; and
   * how long a primary whose process is frozen may say nothing before calls to it fail. Default 30,000.
   */
  maxBlocked?: number;
  /** What is done about a frozen primary: `wait` until it goes on or dies, or `kill` it. Default `wait`. */
  onFrozen?: 'wait' | 'kill';
}

export interface AdminConfig {
  /** The port, 1 to 65,535: one for each group of a host. */
  port: number;
  /** The IP address to listen on. Default `127.0.0.1`, which this host alone can reach. */
  host?: string;
  /**
   * The names by which it may be asked, besides `localhost` and IP addresses: a `Host` header with any other name is
   * answered with 421. Default: none.
   */
  hosts?: readonly string[];
}

export interface HealthConfig {
  /**
   * Whether Midway's own health check of this process (`MidwayHealthService.getStatus()`) fails when another member of
   * the group is abnormal. Default `true`.
   */
  group?: boolean;
  /** How long (ms) a member's event loop may be silent before the member is stuck. Default 1,000. */
  maxLag?: number;
  /**
   * How long (ms) a member that died without a goodbye is remembered, if the number of members does not recover before.
   * Default 60,000.
   */
  forgetDead?: number;
  /** With fewer members the group is not healthy. Default 0. */
  minMembers?: number;
  /**
   * What abnormal members mean: `all` fails with one of them, `quorum` when they are half of all or more, or a function
   * that decides. Default `all`.
   */
  policy?: 'all' | 'quorum' | HealthPolicy;
}

/** Decides from its members, the dead included, whether a group is healthy. */
export type HealthPolicy = (members: MemberHealth[]) => HealthVerdict | Promise<HealthVerdict>;

export type HealthVerdict = boolean | { status: boolean; reason?: string };

/** How a group does, this process included. */
export interface GroupHealth {
  status: boolean;
  /** What is wrong, when something is: each abnormal member, by its pid. */
  reason?: string;
  /** What `health.policy` makes of the members. */
  policy: { name: string; status: boolean; reason?: string };
  /** By id, the dead last. */
  members: MemberHealth[];
}

export interface MemberHealth {
  member: Member;
  /**
   * `starting` and `leaving` members are not abnormal. `failing`: a check of the member's own fails; `stuck`: its event
   * loop is silent; `frozen`: its process is; `dead`: it is gone without a goodbye.
   */
  state: 'starting' | 'ok' | 'failing' | 'stuck' | 'frozen' | 'leaving' | 'dead';
  /** Since when (ms since 1970). */
  since: number;
  /** How long (ms) its event loop had been silent when it last said so. */
  lagMs: number;
  /** Its own checks; missing when they are not known, because it did not answer. */
  checks?: HealthCheckResult[];
  /** What is wrong with it. */
  reason?: string;
}

/** What one `onHealthCheck` of a member said. */
export interface HealthCheckResult {
  /** The configuration's namespace, as Midway has it. */
  namespace: string;
  status: boolean;
  reason?: string;
}

/** How the values of several members become one: prom-client's aggregators, and modes of Python's multiprocess mode. */
export type MetricsAggregator = 'sum' | 'first' | 'min' | 'max' | 'average' | 'omit' | 'livesum' | 'mostrecent' | 'all';

/** A registry of prom-client 14 or 15, or of @prometheus-io/client. */
export interface MetricsRegistry {
  getMetricsAsArray(): readonly object[];
  metrics(): Promise<string>;
}

export interface MetricsConfig {
  /**
   * The registries that hold this process's metrics, or a function that gives them: it is asked each time. Default: the
   * default registry of every copy of prom-client and @prometheus-io/client that the application has loaded.
   */
  registries?: readonly MetricsRegistry[] | (() => readonly MetricsRegistry[]);
  /**
   * How often (ms) a member tells what has changed, so that it is counted when the member dies: at most so much is lost
   * then. Default 5,000.
   */
  pushInterval?: number;
  /** How long (ms) `getMetrics()` waits for a member; then that counts with what it said last. Default 1,000. */
  timeout?: number;
  /**
   * Give every series a label `member` instead of adding them up: the member's pid (`true`), or its `slot`, a small number
   * that another member gets when this one is gone. Default `false`.
   */
  memberLabel?: boolean | 'slot';
  /**
   * Quantiles of several processes can't be merged: `drop` them, or show the greatest (`max`), which must be computed in
   * each member each time. Default `drop`.
   */
  quantiles?: 'drop' | 'max';
  /** How a metric becomes one of several members, by its name: goes before the metric's own `aggregator`. */
  aggregators?: Record<string, MetricsAggregator>;
  /** The format of answers. Default: `openmetrics` if all registries are of that kind, else `text`. */
  format?: 'text' | 'openmetrics';
}

/** Differs for one answer from what is configured. */
export type MetricsOptions = Pick<MetricsConfig, 'format' | 'memberLabel' | 'timeout'>;

export interface CallOptions {
  /**
   * End the call after this many milliseconds; of a stream, its opening alone, and no item. Default: none; death of the
   * primary ends a call by itself.
   */
  timeout?: number;
  /** Ends the call when it is aborted; what runs in the primary sees it in `currentCall().signal`. */
  signal?: AbortSignal;
  /** It does no harm to run twice: it is sent again, once, when the primary dies before it has replied. */
  idempotent?: boolean;
}

export interface RunInPrimaryOptions extends Omit<CallOptions, 'signal'> {
  /** The name of the method between processes. Default: provider id or class name, and the method's name. */
  name?: string;
}

export interface GatherOptions {
  /** How long (ms) members may take to answer; who has not answered by then is rejected. Default 5,000. */
  timeout?: number;
}

export type RunInAllOptions = GatherOptions;

/** What one member made of a question to all. */
export type MemberOutcome<T = unknown> =
  | { member: Member; status: 'fulfilled'; value: T }
  | { member: Member; status: 'rejected'; reason: unknown };

/** A class whose objects are an `S`, whatever its constructor takes. */
export type ServiceClass<S> = abstract new (...args: never[]) => S;

/** Only the primary can answer with a stream, and a generator can't be sent. */
type IsStream<R> = [R] extends [never]
  ? false
  : R extends AsyncIterable<unknown> | IterableIterator<unknown>
    ? true
    : false;

/**
 * The public methods of a class, each of which gives the outcome of every member. Not `then`: it is no promise; and one
 * that gives a stream or a generator can't be called.
 */
export type InAll<S> = {
  [K in keyof S as S[K] extends (...args: never[]) => unknown
    ? Exclude<K, symbol | number | 'then'>
    : never]: S[K] extends (...args: infer A) => infer R
    ? // Not among the names: a method that asks its own class would have a type that refers to itself.
      IsStream<Awaited<R>> extends true
      ? never
      : (...args: A) => Promise<MemberOutcome<Awaited<R>>[]>
    : never;
};

/** The call that is being run for another member. */
export interface CurrentCall {
  /** Who has made it. */
  readonly member: Member;
  /** Aborted when nobody waits for the outcome any more: timeout, abort or death of the caller, or end of the tenure. */
  readonly signal: AbortSignal;
  /** The tenure that it belongs to: a fence for writes to the outside. */
  readonly epoch: number;
}

/** How what is kept in a primary's memory gets to the next one. */
export interface TransferHooks<S = unknown> {
  /**
   * Called in a primary that hands over, when it has answered what it had accepted: returns what the next one needs,
   * as a value that can be sent.
   */
  onHandover?(): S | Promise<S>;
  /**
   * Called in a process that has become primary, before it answers any call. `state` is what the previous primary
   * handed over; `undefined` when there was none, or it died.
   */
  onPrimary?(state: S | undefined, tenure: { epoch: number }): void | Promise<void>;
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
  /** How long (ms) its event loop had been silent when it last said so; 0 when it turns. */
  lagMs: number;
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

/** Events of ProcessAgentService: changes only. Who listens later looks at `isPrimary()` and `members()` as well. */
export interface AgentEvents {
  /** This process has become primary. */
  primary: [tenure: { epoch: number }];
  /** This process has become a worker. */
  worker: [tenure: { epoch: number }];
  /** The group has another primary than before (also when it is this process). */
  'primary-changed': [primary: { epoch: number; pid: number }];
  /** Another process is in the group that was not before. Whom this one has found there is told by `members()` alone. */
  'member-joined': [member: Member];
  /** One has left or died; or it has not joined the next primary within 2 s. Its id is of the tenure it was last in. */
  'member-left': [member: Member];
}
