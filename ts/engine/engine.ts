import type { EventEmitter } from 'node:events';
import type {
  AgentEvents,
  CallOptions,
  Explanation,
  GroupHealth,
  Member,
  MemberHealth,
  MemberOutcome,
  Role,
} from '../interface';
import type { Registry } from '../metrics/registry-types';

/** What an engine asks of the application that it serves. */
export interface EngineHost {
  /**
   * Runs a call that arrived from another member or has waited here, or a question of one to all. May return a promise,
   * or an async iterable. `invocation` is there when `wantsInvocations` says so, or when the caller's carrier has come along.
   */
  invoke(name: string, args: unknown[], invocation: Invocation | undefined): unknown;
  /** Whether there is something of that name to run. Missing: there is. */
  knows?(name: string): boolean;
  /** Whether somebody may ask for `currentCall()`: keeping an account of each call costs time. */
  readonly wantsInvocations: boolean;
  /** Something was published, here or in another member. `data` gives a copy of its own at each call. */
  deliver(topic: string, data: () => unknown, from: Member): void;
  /**
   * This process is primary from now on; nothing is answered before this has settled. `state` is what `giveUp()` gave
   * in the previous primary, `undefined` if there is none.
   */
  takeOver(state: unknown, epoch: number): void | Promise<void>;
  /** This process stays primary, in a new tenure: what it keeps in memory is its own already. */
  stayPrimary?(epoch: number): void;
  /**
   * This process is primary no more, and has answered what it had accepted: what shall the next one know? To be
   * said within `ms`, where that is given.
   */
  giveUp(ms?: number): unknown;
  /** A member has joined this tenure: a new one, or one that was in the group before. */
  joined?(): void;
  /** How long (ms) a look at the group's health may take, and the members' own checks of that. */
  healthBounds?(): HealthBounds | undefined;
  /** What is told over HTTP where no Rust side tells it. */
  readonly monitored?: Monitored;
  /** Where this process's own metrics are. */
  registries?(): readonly Registry[];
  /** Somebody wants them. */
  scraped?(): void;
  readonly logger: AgentLogger;
}

/** What a monitor asks for. */
export interface Monitored {
  metrics(): Promise<{ contentType: string; text: string }>;
  health(): Promise<GroupHealth>;
}

export interface HealthBounds {
  whole: number;
  checks: number;
}

/** What is known of a call while it is run for another member. */
export interface Invocation {
  readonly member: Member;
  readonly epoch: number;
  /** Made when it is first asked for. */
  readonly signal: AbortSignal;
  /** What the caller's process sent along: the tracing context, in words of its own. */
  readonly carrier: Carrier | undefined;
  /** The call is one of this process, which has become primary while it waited. */
  readonly isOwnCall?: boolean;
}

/** Small texts that travel beside a call. */
export type Carrier = Record<string, string>;

/** How a member does, seen from outside its event loop: its own checks are not in here. */
export interface Standing {
  member: Member;
  state: Exclude<MemberHealth['state'], 'failing'>;
  /** ms since 1970. */
  since: number;
  /** For how long, in ms, when it was told: since then the wall clock may have been set. */
  forMs?: number;
}

/** The options of a call, and what else goes with it. */
export interface EngineCallOptions extends CallOptions {
  carrier?: Carrier;
}

export interface EngineGatherOptions {
  /** ms, for every member. */
  timeout: number;
  carrier?: Carrier;
  /** This process's own answer: it is asked like every other member, but not through a lane. */
  own(): unknown;
  /** Called with the answer of each other member when it comes: for one who need not wait for all. */
  onAnswer?(outcome: MemberOutcome): void;
}

/** How the group's metrics are asked for. */
export interface ScrapeOptions {
  format: 'text' | 'openmetrics';
  /** Every series by member, not merged. */
  memberLabel: boolean | 'slot';
  /** ms; who has not said its own by then counts with what it said last. */
  timeout: number;
}

export interface EngineLogger {
  debug(message: string, ...args: unknown[]): void;
  info(message: string, ...args: unknown[]): void;
  warn(message: string, ...args: unknown[]): void;
  error(message: string, ...args: unknown[]): void;
}

/** The log of an engine: it must not throw. */
export interface AgentLogger extends EngineLogger {
  /** A line that was limited in rate where it comes from. */
  forward?(level: keyof EngineLogger, message: string): void;
}

/**
 * What joins the members of a group. Nothing above an engine knows about sockets, locks or the native binding.
 * `StandaloneEngine` is a group of one; `LocalEngine` joins processes of one host.
 */
export interface Engine {
  /** `undefined` before the election and after `close()`. */
  readonly role: Role | undefined;
  /** The current tenure's epoch; 0 while there is none. */
  readonly epoch: number;
  /** The group's name, as people read it. */
  readonly group: string;
  readonly events: EventEmitter<AgentEvents>;
  /** Resolves after the election: the role is known. Rejects with a ProcessAgentError. */
  start(): Promise<void>;
  /** This process's own start-up has finished: if primary, it now answers the calls of others. */
  markReady(): void;
  /** Resolves when a primary is there and ready to answer. `timeout` in ms; rejects with ERR_AGENT_NO_PRIMARY. */
  ready(timeout?: number): Promise<void>;
  /** While this process is primary: aborted when it stops to be. */
  readonly tenure?: AbortSignal;
  /** This process as a member: of calls that it makes of itself. */
  readonly self?: Member;
  /**
   * Runs `name` in the primary. Never called while `role` is `primary`: the caller runs it locally then. Gives an async
   * generator when the method returned an async iterable.
   */
  call(name: string, args: unknown[], options?: EngineCallOptions): Promise<unknown>;
  /** Runs `name` in every member: one outcome for each, in the order of their ids, when all are there or time is up. */
  gather(name: string, args: unknown[], options: EngineGatherOptions): Promise<MemberOutcome[]>;
  /** Resolves when it has been passed on to every member; each gets it through its host's `deliver`. */
  publish(topic: string, data: unknown): Promise<void>;
  members(): Promise<Member[]>;
  /**
   * How every member does, as the broker's Rust side sees it, the dead included. Rejects with ERR_AGENT_NO_PRIMARY when
   * nobody has answered within `timeout` ms.
   */
  standings(timeout: number): Promise<Standing[]>;
  /** For how long (ms) this process has known no primary; 0 while it knows one. */
  readonly leaderlessFor: number;
  /** The metrics of all members as one exposition; `undefined` from an engine that has but one member. */
  scrape?(options: ScrapeOptions): Promise<string | undefined>;
  explain(): Explanation;
  /** The application is stopping: give up being primary, take no calls any more, go on making them. */
  handOver(): Promise<void>;
  /**
   * After `handOver()`: resolves when the calls that are under way here, made or accepted, are answered, or when
   * `stopTimeout` has passed since the hand-over began.
   */
  drained?(): Promise<void>;
  /**
   * Leave the group and free everything. Calls still pending reject with ERR_AGENT_CLOSED, and so do later ones, at once:
   * also when it is not awaited. `isAwaited` (the default): the event loop lives until it has resolved. Idempotent.
   */
  close(isAwaited?: boolean): Promise<void>;
}
