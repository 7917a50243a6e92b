/** Calls on their way to the lane: those of one turn go together, and what can't be sent now waits. */
import { setImmediate } from 'node:timers';
import { type Encoded, sizeOf } from '../codec';
import { Batch, batchOf, type Sender } from './batch';
import type { Call } from './call';
import { Packed } from './chunks';
import { tooLarge } from './outcome';
import { argsOf, setId } from './packed-frames';
import type { PendingCalls } from './pending';
import { WaitingCalls } from './waiting';
import { callBytes, callText, carrierText, encodeArgs, nameText } from './wire';

/** The lane to the primary, as long as it is open and the primary answers. */
export interface OutgoingLane extends Sender {
  readonly id: number;
  /** Whether the primary reads packed values. */
  readonly packs: boolean;
  /** The largest payload that the primary takes. */
  readonly maxPayload: number;
  /** How many bytes of what was sent the primary has no room for yet. */
  unwritten(): number;
  /** Whether what runs now is a reaction to a frame that the lane, or another one, has brought. */
  isTelling(): boolean;
}

export class SendingCalls {
  readonly #waiting: WaitingCalls;
  /** Where calls are sent. */
  #lane: OutgoingLane | undefined;
  #flushing = false;
  /** Whether the event loop has lately brought more than one call in a turn. */
  #crowded = false;

  constructor(
    private readonly pending: PendingCalls,
    readyTimeout: number,
    /** A call has waited in vain. */
    expired: (call: Call) => void,
  ) {
    this.#waiting = new WaitingCalls(readyTimeout, expired);
  }

  get laneId(): number | undefined {
    return this.#lane?.id;
  }

  add(call: Call): void {
    this.#waiting.add(call);
    this.#lane ? this.#schedule() : this.#waiting.startTimer(call);
  }

  /** What waits is sent, in order. */
  open(lane: OutgoingLane): void {
    this.#lane = lane;
    this.#flush();
  }

  /** Nothing more is sent for now. */
  pause(): void {
    if (this.#lane) {
      this.#lane = undefined;
      this.#waiting.startTimers();
    }
  }

  /** Nothing more is sent, and nothing waits. */
  close(): void {
    this.#lane = undefined;
    this.#waiting.take();
  }

  /** All that were not sent; they wait no longer. */
  take(): Call[] {
    return this.#waiting.take();
  }

  remove(call: Call): void {
    this.#waiting.remove(call);
  }

  /** Puts calls back that were sent, or taken to be, to where they were in the order. */
  putBack(calls: Call[]): void {
    if (calls.length === 0) {
      return;
    }
    this.#waiting.putBack(calls);
    this.#lane ? this.#schedule() : this.#waiting.startTimers(calls);
  }

  /**
   * A call that is alone goes at once. While others are unanswered, those that one turn makes go together: each frame
   * costs both ends a system call and a turn, and a frame that is split comes back as two. Not all of them, though: the
   * primary is to work on some while this process makes the others: half of what is unanswered, as long as that is enough.
   *
   * A turn, for calls that replies cause, is a turn of the microtask queue: a frame brings all of them. What else causes
   * calls, a request for one, comes alone, and there may be more behind it: such calls go when the event loop has looked
   * through what has come. Then the first of them waits for the others, too, if the turn before has had others.
   */
  #schedule(): void {
    if (this.#waiting.count >= batchOf(this.pending.count >> 1)) {
      this.#flush();
      return;
    }
    if (this.#flushing) {
      return;
    }
    const isCausedByReplies = this.#lane?.isTelling();
    if (this.pending.count === 1 && (isCausedByReplies || !this.#crowded)) {
      this.#flush();
      return;
    }
    this.#flushing = true;
    if (isCausedByReplies) {
      queueMicrotask(this.#flushNow);
    } else {
      setImmediate(this.#flushTurn);
    }
  }

  readonly #flushTurn = () => {
    this.#crowded = this.pending.count > 1;
    this.#flushNow();
  };

  readonly #flushNow = () => {
    this.#flushing = false;
    this.#flush();
  };

  #flush(): void {
    const lane = this.#lane;
    if (!lane || this.#waiting.count === 0) {
      return;
    }
    const unsent: Call[] = [];
    const batch = new Batch<Call>(lane, (call, frame) => {
      if (frame === 0) {
        unsent.push(call);
      } else {
        call.lane = lane.id;
        call.frame = frame;
      }
    });
    for (const call of this.#waiting.take()) {
      const { args } = call;
      if (args instanceof Packed && lane.packs && call.size <= lane.maxPayload) {
        setId(args, call.id);
        batch.addPacked(call, args);
      } else {
        this.#addUnpacked(batch, call, lane);
      }
    }
    batch.flush();
    if (unsent.length > 0) {
      // The lane has ended, which we are about to hear. Trying it again would never let us.
      this.pause();
      this.putBack(unsent);
    }
  }

  #addUnpacked(batch: Batch<Call>, call: Call, { maxPayload }: OutgoingLane): void {
    const args = call.args instanceof Packed ? this.#unpack(call, call.args) : call.args;
    // The size is known by this process's limit, up to which it is but an estimate.
    const size = call.size > maxPayload ? sizeOf(args, maxPayload) : call.size;
    if (size > maxPayload) {
      this.pending.release(call);
      call.fail(tooLarge(call.name, 'arguments', size, maxPayload, call.outcome));
    } else if (typeof args === 'string') {
      batch.add(call, callText(call.id, nameText(call.name, carrierText(call.carrier)), args));
    } else {
      batch.add(call, callBytes(call.id, call.name, args, carrierText(call.carrier)));
    }
  }

  /** The primary is of an older release, or takes so little that text may fit: what was packed becomes text. */
  #unpack(call: Call, packed: Packed): Encoded {
    const { encoded, room } = encodeArgs(call.name, argsOf(packed), call.carrier);
    call.args = encoded;
    call.room = room;
    call.size = sizeOf(encoded, Number.POSITIVE_INFINITY) - room;
    this.pending.forget(packed);
    return encoded;
  }
}
