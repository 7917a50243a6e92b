/** Calls that other members make of this process while it is primary. */
import type { Encoded } from '../codec';
import { LARGEST_PACKED } from '../codec/packed';
import { ProcessAgentError } from '../errors';
import type { Member } from '../interface';
import { readable } from '../prefix';
import { runtime } from '../runtime';
import { WhenIdle } from '../when-idle';
import type { Packed } from './chunks';
import type { Carrier, EngineHost } from './engine';
import { type EncodedOutcome, encodeThrown, encodeValue, RESULT, type ValueStatus } from './outcome';
import { Replies, type Reply } from './replies';
import { Running } from './running';
import { isAsyncIterable, StreamWriter } from './stream-writer';
import { TrackedCalls } from './tracked';
import { Turns, type Work } from './turns';
import { type CallSink, type Calls, REPLY_HEAD, replyOf, replyText, Status, Verb } from './wire';

/** The lane of one member, as its primary sees it. */
export interface IncomingLane {
  readonly id: number;
  readonly member: Member;
  readonly epoch: number;
  /** The largest payload that the member takes. */
  readonly maxPayload: number;
  /** Whether the member reads packed values. */
  readonly packs: boolean;
  /** Returns 0 when the lane is closed; -1 when `bounded` and the member does not read what it was sent. */
  send(payload: Encoded, bounded: boolean): number;
  sendPacked(bytes: Buffer, from: number, to: number, bounded: boolean): number;
  /** Nothing more is to be read of it for now, or again. */
  hold(held: boolean): void;
}

/** What is done with what a frame has in it. */
interface Taker {
  run(frame: Accepted, id: number, name: string, args: unknown[], carrier: Carrier | undefined): void;
  heed(lane: IncomingLane, id: number, verb: number, number: number): void;
  finish(frame: Accepted, id: number, outcome: EncodedOutcome): void;
  /** It has nothing more that has to begin. */
  begun(frame: Accepted): void;
}

/** A frame whose calls are not all answered, or have not even begun. */
class Accepted implements Work, CallSink {
  left: number;

  constructor(
    readonly lane: IncomingLane,
    readonly batch: Calls,
    private readonly taker: Taker,
  ) {
    this.left = batch.calls;
  }

  get bytes(): number {
    return this.batch.length;
  }

  keep(): void {
    this.batch.keep();
  }

  next(): boolean {
    const more = this.batch.next(this);
    if (!more) {
      this.taker.begun(this);
    }
    return more;
  }

  call(id: number, name: string, args: unknown[], carrier: Carrier | undefined): void {
    this.taker.run(this, id, name, args, carrier);
  }

  verb(id: number, verb: number, number: number): void {
    this.taker.heed(this.lane, id, verb, number);
  }

  refuse(id: number, name: string, cause: unknown): void {
    this.taker.finish(this, id, unreadable(name, cause, this.lane));
  }
}

/** A member with so many frames that have to wait for their turn is read no more, until there is one. */
const MOST_WAITING = 4;

const ITEM: ValueStatus = { value: Status.Item, undefined: Status.UndefinedItem };
const END: ValueStatus = { value: Status.End, undefined: Status.UndefinedEnd };

export class IncomingCalls {
  /** Calls accepted and not answered yet. */
  #running = 0;
  /** Bytes of the frames that hold them. */
  #held = 0;
  /** Nothing is accepted before this process has taken over. */
  #refusing = true;
  readonly #idle = new WhenIdle(() => this.#running > 0);
  readonly #tracked = new TrackedCalls();
  readonly #replies = new Replies((lane, id, error) => this.#tracked.get(lane, id)?.stream?.fail(error));
  /** Lanes that have ended, as long as something still runs for them. */
  readonly #gone = new WeakSet<IncomingLane>();
  readonly #turns = new Turns<IncomingLane, Accepted>();
  /** Lanes that are not read, because too much of theirs waits. */
  readonly #unread = new Set<IncomingLane>();

  constructor(
    private readonly host: EngineHost,
    private readonly limits: { maxPayload: number; maxPendingBytes: number },
  ) {}

  /** Calls that came on `lane`. */
  receive(lane: IncomingLane, calls: Calls): void {
    const frame = new Accepted(lane, calls, this.#taker);
    const full = this.#held > 0 && this.#held + frame.bytes > this.limits.maxPendingBytes;
    if (this.#refusing || full) {
      this.#answerAll(frame, full && !this.#refusing);
      return;
    }
    this.#running += frame.left;
    this.#held += frame.left > 0 ? frame.bytes : 0;
    this.#turns.run(lane, frame);
    if (this.#turns.waiting(lane) >= MOST_WAITING && !this.#unread.has(lane)) {
      this.#unread.add(lane);
      lane.hold(true);
    }
  }

  readonly #taker: Taker = {
    run: (frame, id, name, args, carrier) => this.#run(frame, id, name, args, carrier),
    heed: (lane, id, verb, number) => this.#heed(lane, id, verb, number),
    finish: (frame, id, outcome) => this.#finish(frame, id, outcome),
    begun: ({ lane }) => {
      if (this.#turns.waiting(lane) <= 1 && this.#unread.delete(lane)) {
        lane.hold(false);
      }
    },
  };

  /** None of them runs, and who makes them hears it at once: there may be no later turn. */
  #answerAll({ lane, batch }: Accepted, full: boolean): void {
    const notAccepted = (id: number) => this.#replies.add(lane, replyText(id, Status.NotAccepted, 'null'));
    const tooMuch = (id: number, name: string) =>
      this.#answer(lane, id, encodeThrown(this.#tooMuch(name), lane.maxPayload, REPLY_HEAD));
    const sink: CallSink = {
      call: full ? tooMuch : notAccepted,
      verb: (id, verb, number) => this.#heed(lane, id, verb, number),
      refuse: (id, name, cause) => this.#answer(lane, id, unreadable(name, cause, lane)),
    };
    while (batch.next(sink)) {}
  }

  /** Accepts nothing more; resolves when what was accepted is answered, or after `timeout` ms. */
  async refuse(timeout: number): Promise<void> {
    this.#refusing = true;
    await this.#idle.wait(timeout);
    this.flush();
  }

  /** Sends the replies that wait for the end of this turn. */
  flush(): void {
    this.#replies.flush();
  }

  /** This process is primary: calls are accepted. */
  accept(): void {
    this.#refusing = false;
  }

  /** It is primary no more, or not yet: who calls is to ask again. */
  suspend(): void {
    this.#refusing = true;
    for (const frame of this.#turns.withdrawAll()) {
      this.#drop(frame);
    }
  }

  /** The lane has ended: nobody waits for what runs for it. */
  forget(lane: IncomingLane): void {
    this.#gone.add(lane);
    this.#replies.forget(lane);
    this.#unread.delete(lane);
    for (const frame of this.#turns.withdraw(lane)) {
      this.#drop(frame);
    }
    for (const { running, stream } of this.#tracked.forget(lane)) {
      running?.abort(`the caller, pid ${lane.member.pid}, is gone, or the tenure of epoch ${lane.epoch} has ended`);
      stream?.stop();
    }
  }

  #run(frame: Accepted, id: number, name: string, args: unknown[], carrier: Carrier | undefined): void {
    const { lane } = frame;
    let running: Running | undefined;
    if (carrier || this.host.wantsInvocations) {
      running = new Running(lane.member, lane.epoch, carrier);
      this.#tracked.set(lane, id, { running });
    }
    let result: unknown;
    try {
      result = this.host.invoke(name, args, running);
    } catch (error) {
      this.#finish(frame, id, encodeThrown(error, lane.maxPayload, REPLY_HEAD));
      return;
    }
    if (typeof (result as PromiseLike<unknown> | null | undefined)?.then === 'function') {
      Promise.resolve(result).then(
        value => this.#succeed(frame, id, name, value, running),
        error => this.#finish(frame, id, encodeThrown(error, lane.maxPayload, REPLY_HEAD)),
      );
    } else {
      this.#succeed(frame, id, name, result, running);
    }
  }

  #succeed(frame: Accepted, id: number, name: string, value: unknown, running: Running | undefined): void {
    if (isAsyncIterable(value)) {
      this.#stream(frame, id, name, value, running);
      return;
    }
    const packed = this.#pack(frame.lane, id, Status.Value, value);
    if (packed) {
      this.#end(frame, id, packed);
    } else {
      this.#finish(frame, id, encodeValue(name, value, this.#limit(frame.lane), RESULT, REPLY_HEAD));
    }
  }

  #pack(lane: IncomingLane, id: number, status: number, value: unknown): Packed | undefined {
    return lane.packs && this.#limit(lane) >= LARGEST_PACKED ? this.#replies.pack(id, status, value) : undefined;
  }

  #stream(
    frame: Accepted,
    id: number,
    name: string,
    iterable: AsyncIterable<unknown>,
    running: Running | undefined,
  ): void {
    const { lane } = frame;
    const limit = this.#limit(lane);
    const finish = (outcome: EncodedOutcome) => this.#finish(frame, id, outcome);
    let stream: StreamWriter;
    try {
      stream = new StreamWriter(iterable, {
        item: value => {
          const packed = this.#pack(lane, id, Status.Item, value);
          if (packed) {
            this.#replies.add(lane, packed);
            return packed.length;
          }
          const outcome = encodeValue(name, value, limit, ITEM, REPLY_HEAD);
          if (outcome.status === Status.Thrown) {
            throw new Unsendable(outcome);
          }
          const { length } = outcome.value;
          this.#answer(lane, id, outcome);
          return length;
        },
        end: value => finish(encodeValue(name, value, limit, END, REPLY_HEAD)),
        fail: error =>
          finish(error instanceof Unsendable ? error.outcome : encodeThrown(error, lane.maxPayload, REPLY_HEAD)),
      });
    } catch (error) {
      finish(encodeThrown(error, lane.maxPayload, REPLY_HEAD));
      return;
    }
    if (this.#gone.has(lane)) {
      // Nobody is there to read it, or to say that it may end.
      stream.stop();
      return;
    }
    this.#tracked.set(lane, id, { running, stream });
    this.#answer(lane, id, { status: Status.Stream, value: 'null' });
    stream.pull();
  }

  #heed(lane: IncomingLane, id: number, verb: number, number: number): void {
    const tracked = this.#tracked.get(lane, id);
    switch (verb) {
      case Verb.Cancel:
        tracked?.running?.abort('the caller waits no longer');
        tracked?.stream?.stop();
        break;
      case Verb.Taken:
        tracked?.stream?.taken(number);
        break;
      case Verb.Return:
        tracked?.stream?.stop();
        break;
    }
  }

  #finish(frame: Accepted, id: number, { status, value }: EncodedOutcome): void {
    this.#end(frame, id, replyOf(id, status, value));
  }

  #end(frame: Accepted, id: number, reply: Reply): void {
    this.#tracked.delete(frame.lane, id);
    this.#replies.add(frame.lane, reply, frame.batch.calls);
    this.#countDown(frame, 1);
  }

  /** Its calls that have not begun never do. */
  #drop(frame: Accepted): void {
    this.#countDown(frame, frame.batch.left);
  }

  #countDown(frame: Accepted, calls: number): void {
    frame.left -= calls;
    if (calls > 0 && frame.left === 0) {
      this.#held -= frame.bytes;
    }
    this.#running -= calls;
    if (calls > 0 && this.#running === 0) {
      this.#idle.tell();
    }
  }

  #answer(lane: IncomingLane, id: number, { status, value }: EncodedOutcome): void {
    this.#replies.add(lane, replyOf(id, status, value));
  }

  #limit(lane: IncomingLane): number {
    return Math.min(lane.maxPayload, this.limits.maxPayload);
  }

  #tooMuch(name: string): ProcessAgentError {
    return new ProcessAgentError(
      'ERR_AGENT_TOO_MANY_PENDING',
      `${readable(name)}: the primary (pid ${process.pid}) has calls with ${this.#held} bytes to answer already ` +
        '(processAgent.maxPendingBytes).',
      { outcome: 'not-sent' },
    );
  }
}

function unreadable(name: string, cause: unknown, { maxPayload }: IncomingLane): EncodedOutcome {
  const message = `${readable(name)}: the primary (${runtime.title}) can't read the arguments: ${cause}`;
  const error = new ProcessAgentError('ERR_AGENT_NOT_SERIALIZABLE', message, { outcome: 'not-sent', cause });
  return encodeThrown(error, maxPayload, REPLY_HEAD);
}

/** An item that can't be sent, as what is sent instead. */
class Unsendable {
  constructor(readonly outcome: EncodedOutcome) {}
}
