/** The pending calls of this process: a table of slots, whose numbers name calls between processes. */
import { ProcessAgentError } from '../errors';
import { readable } from '../prefix';
import { WhenIdle } from '../when-idle';
import type { Call } from './call';
import type { Sendable } from './chunks';

export interface PendingLimits {
  maxPending: number;
  maxPendingBytes: number;
}

export class PendingCalls {
  readonly #slots: (Call | undefined)[] = [];
  readonly #free: number[] = [];
  #order = 0;
  /** Calls that somebody waits for, and the bytes of their arguments. */
  #count = 0;
  #held = 0;
  /** The same of calls that were sent, for which nobody waits any more. */
  #abandoned = { count: 0, held: 0 };
  readonly #idle = new WhenIdle(() => this.#count > 0);

  constructor(
    private readonly limits: PendingLimits,
    /** A pending call keeps the process alive. */
    private readonly keepAlive: (pending: boolean) => void,
    /** The arguments of a call are needed no more. */
    private readonly discard: (args: Sendable) => void = () => {},
    /** How many bytes of what was sent the primary does not read: they lie in this process, whoever waits for them. */
    private readonly unread: () => number = () => 0,
  ) {}

  get count(): number {
    return this.#count;
  }

  get(id: number): Call | undefined {
    return this.#slots[id];
  }

  /** Every call whose number is taken. */
  all(): Call[] {
    return this.#slots.filter(call => call !== undefined);
  }

  /** `ERR_AGENT_TOO_MANY_PENDING` when there is no room for a call with so many bytes of arguments. */
  whyFull(name: string, size: number): ProcessAgentError | undefined {
    const { maxPending, maxPendingBytes } = this.limits;
    let count = this.#count;
    let held = this.#held;
    if (this.#abandoned.count > 0) {
      // What is not read may be of those for which somebody waits, and counts already.
      const theirs = Math.min(this.#abandoned.held, this.unread() - this.#held);
      if (theirs > 0) {
        count += this.#abandoned.count;
        held += theirs;
      }
    }
    const full =
      count >= maxPending
        ? `${count} calls of this process are unanswered already (processAgent.maxPending: ${maxPending}).`
        : // One that is larger by itself passes alone: maxPayload bounds it.
          held > 0 && held + size > maxPendingBytes
          ? `calls of this process with ${held} bytes are unanswered already (processAgent.maxPendingBytes).`
          : undefined;
    return full === undefined
      ? undefined
      : new ProcessAgentError('ERR_AGENT_TOO_MANY_PENDING', `${readable(name)}: ${full}`, { outcome: 'not-sent' });
  }

  /** Gives the call its number, and its place in the order of all. */
  add(call: Call): void {
    call.id = this.#free.pop() ?? this.#slots.length;
    call.order = this.#order++;
    this.#slots[call.id] = call;
    this.#held += call.held;
    if (this.#count++ === 0) {
      this.keepAlive(true);
    }
  }

  /** The call's number is free again. */
  release(call: Call): void {
    this.#slots[call.id] = undefined;
    this.#free.push(call.id);
    if (call.abandoned) {
      this.#abandoned.count--;
      this.#abandoned.held -= call.held;
      return;
    }
    this.discard(call.args);
    call.stopWaiting();
    this.#countDown(call);
  }

  /** Nobody waits for the call any more; its number stays taken, until no reply to it can come. */
  abandon(call: Call): void {
    call.stopWaiting();
    call.abandoned = true;
    this.#abandoned.count++;
    this.#abandoned.held += call.held;
    this.discard(call.args);
    call.args = '';
    this.#countDown(call);
  }

  /** Arguments that were a call's are needed no more. */
  forget(args: Sendable): void {
    this.discard(args);
  }

  get isBusy(): boolean {
    return this.#count > 0;
  }

  /** Resolves when nobody waits for a call, or after `timeout` ms. */
  idle(timeout: number): Promise<void> {
    return this.#idle.wait(timeout);
  }

  #countDown(call: Call): void {
    this.#held -= call.held;
    if (--this.#count === 0) {
      this.keepAlive(false);
      this.#idle.tell();
    }
  }
}
