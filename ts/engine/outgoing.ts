/** Calls that this process makes: numbered, sent in batches, and settled by a reply or by the end of their lane. */

import { decode, type Encoded, encode, sizeOf } from '../codec';
import { type PlainError, ProcessAgentError } from '../errors';
import type { CallOptions } from '../interface';
import { Batch, callBytes, callText, readReplies, Status } from './wire';

/** The lane to the primary, as long as it is open and the primary answers. */
export interface OutgoingLane {
  readonly id: number;
  /** The largest payload that the primary takes. */
  readonly maxPayload: number;
  /** Returns the frame's number on the lane, 0 when it is closed. */
  send(payload: Encoded): number;
}

export interface OutgoingLimits {
  maxPending: number;
  maxPayload: number;
  readyTimeout: number;
}

interface Call {
  /** Its slot; also its number between processes. */
  readonly id: number;
  /** The order in which calls were made. */
  readonly order: number;
  readonly name: string;
  args: Encoded;
  readonly size: number;
  resolve(value: unknown): void;
  reject(error: unknown): void;
  /** Where it was sent; 0 while it waits. */
  lane: number;
  frame: number;
  /** Settled early, by its timeout; the slot stays taken until the reply comes or the lane ends. */
  abandoned: boolean;
  deadline: NodeJS.Timeout | undefined;
  waiting: NodeJS.Timeout | undefined;
  waitsUntil: number | undefined;
}

export class OutgoingCalls {
  readonly #slots: (Call | undefined)[] = [];
  readonly #free: number[] = [];
  #count = 0;
  #order = 0;
  /** Not sent yet, in order. */
  #queue: Call[] = [];
  #lane: OutgoingLane | undefined;
  #flushing = false;
  #closed = false;
  #whenIdle: (() => void) | undefined;

  constructor(
    private readonly limits: OutgoingLimits,
    /** Says why there is no primary, for a call that has waited in vain. */
    private readonly whyWaiting: () => string,
    /** A pending call keeps the process alive. */
    private readonly keepAlive: (pending: boolean) => void,
  ) {}

  get count(): number {
    return this.#count;
  }

  /** Resolves when no call is pending, or after `timeout` ms. */
  async idle(timeout: number): Promise<void> {
    if (this.#count > 0) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, timeout);
        this.#whenIdle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Makes a call. It waits for a lane, at most `readyTimeout`. */
  call(name: string, args: unknown[], options?: CallOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        throw closedError('not-sent');
      }
      if (this.#count >= this.limits.maxPending) {
        const { maxPending } = this.limits;
        throw new ProcessAgentError(
          'ERR_AGENT_TOO_MANY_PENDING',
          `${name}: ${maxPending} calls of this process are unanswered already (processAgent.maxPending).`,
          { outcome: 'not-sent' },
        );
      }
      const encoded = encode(args, 'args');
      const size = sizeOf(encoded, this.limits.maxPayload);
      if (size > this.limits.maxPayload) {
        throw tooLarge(name, size, this.limits.maxPayload);
      }
      const call: Call = {
        id: this.#free.pop() ?? this.#slots.length,
        order: this.#order++,
        name,
        args: encoded,
        size,
        resolve,
        reject,
        lane: 0,
        frame: 0,
        abandoned: false,
        deadline: undefined,
        waiting: undefined,
        waitsUntil: undefined,
      };
      this.#slots[call.id] = call;
      if (this.#count++ === 0) {
        this.keepAlive(true);
      }
      if (options?.timeout !== undefined) {
        call.deadline = setTimeout(() => this.#expire(call, options.timeout as number), options.timeout);
      }
      this.#queue.push(call);
      this.#lane ? this.#schedule() : this.#wait(call);
    });
  }

  /** The primary answers now: what waits is sent, in order. */
  open(lane: OutgoingLane): void {
    this.#lane = lane;
    this.#flush();
  }

  /** Nothing more is sent on the lane, but what was sent may still be answered. */
  pause(): void {
    this.#lane = undefined;
    for (const call of this.#queue) {
      this.#wait(call);
    }
  }

  /** This process has become primary itself: what waits runs here, in order. */
  runHere(invoke: (name: string, args: unknown[]) => unknown): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const call of queue) {
      this.#release(call);
      try {
        call.resolve(invoke(call.name, decode(call.args) as unknown[]));
      } catch (error) {
        call.reject(error);
      }
    }
  }

  /** Replies that came on `lane`. */
  receive(lane: number, payload: string | Buffer): void {
    // A reply belongs to the lane that its call was sent on; anything else is late, or wrong.
    const callOf = (id: number) => {
      const call = this.#slots[id];
      return call && call.lane === lane && call.frame > 0 ? call : undefined;
    };
    readReplies(
      payload,
      (id, status, value) => {
        const call = callOf(id);
        if (call) {
          this.#settle(call, status, value);
        }
      },
      (id, cause) => {
        const call = callOf(id);
        if (call) {
          this.#release(call);
          const message = `${call.name}: this process (Node ${process.version}) can't read the result: ${cause}`;
          call.reject(new ProcessAgentError('ERR_AGENT_NOT_SERIALIZABLE', message, { outcome: 'executed', cause }));
        }
      },
    );
  }

  /**
   * A lane has been read to its end: no reply comes any more. Calls that the primary has not seen are sent again to
   * the next one. `accepted` counts the frames that a primary which handed over has seen.
   */
  closeLane(lane: number, written: number, accepted: number | null): void {
    if (this.#lane?.id === lane) {
      this.pause();
    }
    const again: Call[] = [];
    for (const call of this.#slots) {
      if (!call || call.lane !== lane) {
        continue;
      }
      if (call.abandoned) {
        this.#release(call);
      } else if (call.frame > (accepted ?? written)) {
        again.push(call);
      } else {
        this.#release(call);
        call.reject(
          new ProcessAgentError(
            'ERR_AGENT_PRIMARY_LOST',
            accepted === null
              ? `${call.name}: the primary died, or the connection to it ended, before it replied; the call may have run.`
              : `${call.name}: the primary handed over before the call had finished (processAgent.stopTimeout).`,
            { outcome: 'unknown' },
          ),
        );
      }
    }
    this.#requeue(again);
  }

  /** Every call that is left ends here. */
  close(): void {
    this.#closed = true;
    this.#lane = undefined;
    this.#queue = [];
    for (const call of this.#slots) {
      if (call) {
        this.#release(call);
        if (!call.abandoned) {
          call.reject(closedError(call.lane ? 'unknown' : 'not-sent'));
        }
      }
    }
  }

  /** The first call of a turn goes at once; those that the same turn makes after it go together. */
  #schedule(): void {
    if (this.#flushing) {
      return;
    }
    this.#flush();
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    const lane = this.#lane;
    if (!lane || this.#queue.length === 0) {
      return;
    }
    const queue = this.#queue;
    this.#queue = [];
    const unsent: Call[] = [];
    const batch = new Batch<Call>(
      payload => lane.send(payload),
      (call, frame) => {
        if (frame === 0) {
          unsent.push(call);
        } else {
          call.lane = lane.id;
          call.frame = frame;
        }
      },
    );
    for (const call of queue) {
      clearTimeout(call.waiting);
      call.waiting = undefined;
      if (call.size > lane.maxPayload) {
        this.#release(call);
        call.reject(tooLarge(call.name, call.size, lane.maxPayload));
      } else if (typeof call.args === 'string') {
        batch.add(call, callText(call.id, JSON.stringify(call.name), call.args));
      } else {
        batch.add(call, callBytes(call.id, call.name, call.args));
      }
    }
    batch.flush();
    if (unsent.length > 0) {
      // The lane has ended, which we are about to hear. Trying it again would never let us.
      this.pause();
      this.#requeue(unsent);
    }
  }

  /** Puts calls back to where they were in the order. */
  #requeue(calls: Call[]): void {
    if (calls.length === 0) {
      return;
    }
    for (const call of calls) {
      call.lane = 0;
      call.frame = 0;
    }
    this.#queue = [...calls, ...this.#queue].sort((a, b) => a.order - b.order);
    if (this.#lane) {
      this.#schedule();
    } else {
      for (const call of calls) {
        this.#wait(call);
      }
    }
  }

  #wait(call: Call): void {
    // Counted from the first wait, however often it is sent and comes back.
    call.waitsUntil ??= Date.now() + this.limits.readyTimeout;
    call.waiting ??= setTimeout(
      () => {
        this.#drop(call);
        call.reject(
          new ProcessAgentError(
            'ERR_AGENT_NO_PRIMARY',
            `${call.name}: waited ${this.limits.readyTimeout} ms (processAgent.readyTimeout): ${this.whyWaiting()}`,
            { outcome: 'not-sent' },
          ),
        );
      },
      Math.max(0, call.waitsUntil - Date.now()),
    );
  }

  #expire(call: Call, timeout: number): void {
    const outcome = call.lane ? 'unknown' : 'not-sent';
    if (call.lane) {
      // Nobody waits for it any more; only its number stays taken, until no reply to it can come.
      call.abandoned = true;
      call.args = '';
      this.#countDown();
    } else {
      this.#drop(call);
    }
    call.reject(
      new ProcessAgentError('ERR_AGENT_TIMEOUT', `${call.name}: no reply within its timeout of ${timeout} ms.`, {
        outcome,
      }),
    );
  }

  #drop(call: Call): void {
    this.#queue = this.#queue.filter(each => each !== call);
    this.#release(call);
  }

  #settle(call: Call, status: number, value: unknown): void {
    if (status === Status.NotAccepted) {
      if (call.abandoned) {
        this.#release(call);
      } else {
        // It comes again when there is another primary: this one takes nothing more.
        this.pause();
        this.#requeue([call]);
      }
      return;
    }
    this.#release(call);
    if (call.abandoned) {
      return;
    }
    if (status === Status.Thrown) {
      call.reject(new Thrown(value as PlainError));
    } else {
      call.resolve(status === Status.Undefined ? undefined : value);
    }
  }

  #release(call: Call): void {
    clearTimeout(call.deadline);
    clearTimeout(call.waiting);
    this.#slots[call.id] = undefined;
    this.#free.push(call.id);
    if (!call.abandoned) {
      this.#countDown();
    }
  }

  #countDown(): void {
    if (--this.#count === 0) {
      this.keepAlive(false);
      this.#whenIdle?.();
      this.#whenIdle = undefined;
    }
  }
}

/** What a method threw in the primary, as it travelled. */
export class Thrown {
  constructor(readonly plain: PlainError) {}
}

export function closedError(outcome: 'not-sent' | 'unknown'): ProcessAgentError {
  return new ProcessAgentError('ERR_AGENT_CLOSED', 'The application has left its group.', { outcome });
}

function tooLarge(name: string, size: number, limit: number): ProcessAgentError {
  return new ProcessAgentError(
    'ERR_AGENT_TOO_LARGE',
    `${name}: the arguments take ${size} bytes, over the limit of ${limit} (processAgent.maxPayload).`,
    { outcome: 'not-sent' },
  );
}
