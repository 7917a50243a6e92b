import type { EventEmitter } from 'node:events';
import type { AgentEvents, CallOptions, Explanation, Member, Role } from '../interface';

/** What an engine asks of the application that it serves. */
export interface EngineHost {
  /** Runs a call that arrived from another member, in this process, which is primary. May return a promise. */
  invoke(name: string, args: unknown[]): unknown;
  readonly logger: EngineLogger;
}

export interface EngineLogger {
  debug(message: string, ...args: unknown[]): void;
  info(message: string, ...args: unknown[]): void;
  warn(message: string, ...args: unknown[]): void;
  error(message: string, ...args: unknown[]): void;
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
  /** Runs `name` in the primary. Never called while `role` is `primary`: the caller runs it locally then. */
  call(name: string, args: unknown[], options?: CallOptions): Promise<unknown>;
  members(): Promise<Member[]>;
  explain(): Explanation;
  /** The application is stopping: give up being primary, take no calls any more, go on making them. */
  handOver(): Promise<void>;
  /**
   * After `handOver()`: resolves when the calls that are under way here, made or accepted, are answered, or when
   * `stopTimeout` has passed since the hand-over began.
   */
  drained?(): Promise<void>;
  /** Leave the group and free everything. Calls still pending reject with ERR_AGENT_CLOSED. Idempotent. */
  close(): Promise<void>;
}
