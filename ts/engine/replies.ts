/** Replies on their way to callers: those of one turn go together, one batch a lane. */
import type { Encoded } from '../codec';
import { ProcessAgentError } from '../errors';
import { BATCH_SIZE, Batch, batchOf } from './batch';
import { Chunks, Packed, type Sendable } from './chunks';
import type { IncomingLane } from './incoming';
import { encodeThrown } from './outcome';
import { idOf, packReply, statusOf } from './packed-frames';
import { idOfReply, REPLY_HEAD, replyOf, Status, statusOfReply } from './wire';

/** What goes to a caller. */
export type Reply = Sendable;

/** What is only a part of a stream: a last reply follows. */
const PARTS = new Set<number>([Status.Stream, Status.Item, Status.UndefinedItem]);
/** A reply of this many characters is sent also to a member that does not read: the news that it is lost takes as much. */
const SMALL = 1024;

export class Replies {
  #unsent = new Map<IncomingLane, Reply[]>();
  #size = 0;
  /** The lane of the last of them, and its: mostly the next one's. */
  #lastLane: IncomingLane | undefined;
  #ofLastLane: Reply[] = [];
  #flushing = false;
  readonly #chunks = new Chunks();

  constructor(
    /** A part of a stream can't be sent: the stream is to end so. */
    private readonly failStream: (lane: IncomingLane, id: number, error: unknown) => void,
  ) {}

  /** A reply that is packed, to be added; `undefined` when it has to go another way. */
  pack(id: number, status: number, value: unknown): Packed | undefined {
    return packReply(this.#chunks, id, status, value);
  }

  /** `among`: how many calls its call has come with. */
  add(lane: IncomingLane, reply: Reply, among = 1): void {
    const waiting = this.#lastLane === lane ? this.#ofLastLane : this.#of(lane);
    waiting.push(reply);
    this.#size += reply.length;
    if (this.#size > BATCH_SIZE || waiting.length >= batchOf(among)) {
      // A turn may make any number of replies: they must not all be held until its end, and whoever waits for them is to
      // go on with some while this process makes the others.
      this.flush();
    } else if (!this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => {
        this.#flushing = false;
        this.flush();
      });
    }
  }

  #of(lane: IncomingLane): Reply[] {
    let replies = this.#unsent.get(lane);
    if (!replies) {
      replies = [];
      this.#unsent.set(lane, replies);
    }
    this.#lastLane = lane;
    this.#ofLastLane = replies;
    return replies;
  }

  /** Sends the replies that wait for the end of this turn. */
  flush(): void {
    // What is said because a reply can't be sent waits for the next flush.
    const all = this.#unsent;
    // Not cleared: what a cleared Map had keeps what it has then, for as long as the garbage collector takes it to be old.
    this.#unsent = new Map();
    this.#lastLane = undefined;
    this.#ofLastLane = [];
    this.#size = 0;
    for (const [lane, replies] of all) {
      let lost: Set<number> | undefined;
      const bounded = {
        send: (payload: Encoded) => lane.send(payload, true),
        sendPacked: (bytes: Buffer, from: number, to: number) => lane.sendPacked(bytes, from, to, true),
      };
      const batch = new Batch<Reply>(bounded, (reply, frame) => {
        if (frame < 0) {
          lost ??= new Set();
          this.#withhold(lane, reply, lost);
        }
        this.#release(reply);
      });
      for (const reply of replies) {
        if (lost?.has(numberOf(reply))) {
          this.#withhold(lane, reply, lost);
          this.#release(reply);
        } else if (reply instanceof Packed) {
          batch.addPacked(reply, reply);
        } else {
          batch.add(reply, reply);
        }
      }
      batch.flush();
    }
  }

  /**
   * The member does not read: it gets the news that a reply is lost instead of the reply. One for each call, because its
   * number is another call's after that. `lost` has the calls a part of whose stream was lost before.
   */
  #withhold(lane: IncomingLane, reply: Reply, lost: Set<number>): void {
    const id = numberOf(reply);
    const isPart = PARTS.has(reply instanceof Packed ? statusOf(reply) : statusOfReply(reply));
    if (!isPart && !lost.has(id) && reply.length <= SMALL) {
      if (reply instanceof Packed) {
        lane.sendPacked(reply.bytes, reply.from, reply.to, false);
      } else {
        lane.send(typeof reply === 'string' ? `[${reply}]` : reply, false);
      }
      return;
    }
    const message =
      `The reply was dropped: this process, pid ${lane.member.pid}, does not read its replies, and too many bytes ` +
      'of them wait in the primary (processAgent.maxPendingBytes).';
    const error = new ProcessAgentError('ERR_AGENT_TOO_MANY_PENDING', message, { outcome: 'executed' });
    if (isPart) {
      lost.add(id);
      // If it has ended already, its last reply is behind this one.
      this.failStream(lane, id, error);
      return;
    }
    const { value } = encodeThrown(error, lane.maxPayload, REPLY_HEAD);
    const news = replyOf(id, Status.Thrown, value);
    lane.send(typeof news === 'string' ? `[${news}]` : news, false);
  }

  #release(reply: Reply): void {
    if (reply instanceof Packed) {
      this.#chunks.release(reply);
    }
  }

  /** The lane has ended. */
  forget(lane: IncomingLane): void {
    for (const reply of this.#unsent.get(lane) ?? []) {
      this.#release(reply);
    }
    this.#unsent.delete(lane);
    this.#lastLane = undefined;
  }
}

/** The number of the call that it belongs to. */
function numberOf(reply: Reply): number {
  return reply instanceof Packed ? idOf(reply) : idOfReply(reply);
}
