/** The pending calls of this process: a table of slots, whose numbers name calls between processes. */
import type { Encoded } from '../codec';
import { type CallOutcome, ProcessAgentError } from '../errors';
import { WhenIdle } from '../when-idle';
import type { StreamReader } from './stream-reader';

export interface PendingLimits {
  maxPending: number;
  maxPendingBytes: number;
}

/** One call that is not settled, or whose number is still taken. */
export interface Call {
  /** Its slot; also its number between processes. */
  readonly id: number;
  /** The order in which calls were made. */
  readonly order: number;
  readonly name: string;
  args: Encoded;
  /** How many bytes of them are left for a head. */
  readonly room: number;
  /** Bytes of `args`, at the most. */
  readonly size: number;
  /** What it counts for in `maxPendingBytes`. */
  readonly held: number;
  readonly carrier: string | undefined;
  /** It may be sent again, once. */
  mayRepeat: boolean;
  /** It was sent to a primary that has died. */
  mayHaveRun: boolean;
  resolve(value: unknown): void;
  reject(error: unknown): void;
  /** Where it was sent; 0 while it waits. */
  lane: number;
  frame: number;
  /** Settled early; the slot stays taken until the reply comes or the lane ends. */
  abandoned: boolean;
  deadline: NodeJS.Timeout | undefined;
  waiting: NodeJS.Timeout | undefined;
  waitsUntil: number | undefined;
  /** Stops listening to the caller's AbortSignal. */
  unlisten: (() => void) | undefined;
  stream: StreamReader | undefined;
}

/** What a call is made with. */
export type NewCall = Pick<Call, 'name' | 'args' | 'room' | 'size' | 'carrier' | 'mayRepeat' | 'resolve' | 'reject'>;

export class PendingCalls {
  readonly #slots: (Call | undefined)[] = [];
  readonly #free: number[] = [];
  #order = 0;
  /** Calls that somebody waits for, and the bytes of their arguments. */
  #count = 0;
  #held = 0;
  readonly #idle = new WhenIdle(() => this.#count > 0);

  constructor(
    private readonly limits: PendingLimits,
    /** A pending call keeps the process alive. */
    private readonly keepAlive: (pending: boolean) => void,
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

  /** Throws `ERR_AGENT_TOO_MANY_PENDING` when there is no room for a call with so many bytes of arguments. */
  checkRoom(name: string, size: number): void {
    const { maxPending, maxPendingBytes } = this.limits;
    const full =
      this.#count >= maxPending
        ? `${maxPending} calls of this process are unanswered already (processAgent.maxPending).`
        : // One that is larger by itself passes alone: maxPayload bounds it.
          this.#held > 0 && this.#held + size > maxPendingBytes
          ? `calls of this process with ${this.#held} bytes are unanswered already (processAgent.maxPendingBytes).`
          : undefined;
    if (full) {
      throw new ProcessAgentError('ERR_AGENT_TOO_MANY_PENDING', `${name}: ${full}`, { outcome: 'not-sent' });
    }
  }

  add({ name, args, room, size, carrier, mayRepeat, resolve, reject }: NewCall): Call {
    const call: Call = {
      id: this.#free.pop() ?? this.#slots.length,
      order: this.#order++,
      name,
      args,
      room,
      size,
      held: args.length,
      carrier,
      mayRepeat,
      mayHaveRun: false,
      resolve,
      reject,
      lane: 0,
      frame: 0,
      abandoned: false,
      deadline: undefined,
      waiting: undefined,
      waitsUntil: undefined,
      unlisten: undefined,
      stream: undefined,
    };
    this.#slots[call.id] = call;
    this.#held += call.held;
    if (this.#count++ === 0) {
      this.keepAlive(true);
    }
    return call;
  }

  /** The call's number is free again. */
  release(call: Call): void {
    this.#slots[call.id] = undefined;
    this.#free.push(call.id);
    if (call.abandoned) {
      return;
    }
    stopWaiting(call);
    this.#countDown(call);
  }

  /** Nobody waits for the call any more; its number stays taken, until no reply to it can come. */
  abandon(call: Call): void {
    stopWaiting(call);
    call.abandoned = true;
    call.args = '';
    this.#countDown(call);
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

/** The arguments alone, as they were encoded. */
export function argsOf({ args, room }: Call): Encoded {
  return typeof args === 'string' ? args : args.subarray(room);
}

/** What is known of a call that ends without a reply. */
export function outcomeOf(call: Call): CallOutcome {
  return call.lane || call.mayHaveRun ? 'unknown' : 'not-sent';
}

function stopWaiting(call: Call): void {
  if (call.deadline !== undefined) {
    clearTimeout(call.deadline);
  }
  if (call.waiting !== undefined) {
    clearTimeout(call.waiting);
  }
  call.unlisten?.();
}
