/** Calls that this process makes: numbered, sent in batches, and settled by a reply or by the end of their lane. */

import { whenAborted } from '../abort';
import { type Encoded, sizeOf } from '../codec';
import { LARGEST_PACKED } from '../codec/packed';
import { type CallOutcome, type PlainError, ProcessAgentError } from '../errors';
import type { WaitedCall } from '../own-call';
import { readable } from '../prefix';
import { runtime } from '../runtime';
import { ending, isAsyncGeneratorObject } from '../stream';
import { Batch } from './batch';
import { Call, type Tally } from './call';
import { aborted, closedError, decodeThrown, type LaneEnd, lost, timedOut } from './call-errors';
import { Chunks, Packed, type Sendable } from './chunks';
import type { Carrier, EngineCallOptions } from './engine';
import { tooLarge } from './outcome';
import { packCall, readPackedReplies } from './packed-frames';
import { PendingCalls, type PendingLimits } from './pending';
import { type OutgoingLane, SendingCalls } from './sending';
import { generatorOf, StreamReader } from './stream-reader';
import { encodeArgs, type ReplySink, readReplies, Status, Verb, verbText } from './wire';

export interface OutgoingLimits extends PendingLimits {
  maxPayload: number;
  readyTimeout: number;
}

export class OutgoingCalls {
  readonly #chunks = new Chunks();
  readonly #pending: PendingCalls;
  readonly #sending: SendingCalls;
  /** Calls that the primary has not accepted, of the frame that is being read. */
  #refused: Call[] = [];
  /** The lane of the calls that were sent: open for words about them also when it takes no new call. */
  #wordsTo: OutgoingLane | undefined;
  #closed = false;
  /** The primary is frozen: makes the error that says so. */
  #frozen: ((what: string, outcome: CallOutcome) => ProcessAgentError) | undefined;

  constructor(
    private readonly limits: OutgoingLimits,
    /** Says why there is no primary, for a call that has waited in vain. */
    private readonly whyWaiting: () => string,
    /** A pending call keeps the process alive. */
    keepAlive: (pending: boolean) => void,
    private readonly tally: Tally,
    discard?: (args: Encoded) => void,
  ) {
    const forget = (args: Sendable) => {
      args instanceof Packed ? this.#chunks.release(args) : discard?.(args);
    };
    this.#pending = new PendingCalls(limits, keepAlive, forget, () => this.#wordsTo?.unwritten() ?? 0);
    this.#sending = new SendingCalls(this.#pending, limits.readyTimeout, call => this.#waitedInVain(call));
  }

  /** Whether somebody waits for a call. */
  get isBusy(): boolean {
    return this.#pending.isBusy;
  }

  /** How many calls wait for their outcome. */
  get count(): number {
    return this.#pending.count;
  }

  /** Resolves when no call is pending, or after `timeout` ms. */
  idle(timeout: number): Promise<void> {
    return this.#pending.idle(timeout);
  }

  /** Makes a call. It waits for a lane, at most `readyTimeout`. */
  call(name: string, args: unknown[], options?: EngineCallOptions): Promise<unknown> {
    // Not async: each layer of promises would cost a call a tenth of what it costs in all.
    const began = this.tally.begin();
    try {
      const call = this.#make(name, args, options, began);
      const promise = call.promise();
      this.#sending.add(call);
      return promise;
    } catch (error) {
      this.tally.failed(began, error);
      return Promise.reject(error);
    }
  }

  #make(name: string, args: unknown[], options: EngineCallOptions | undefined, began: number | undefined): Call {
    this.#refuseWhenImpossible(name, options?.signal);
    const { maxPayload } = this.limits;
    const carrier = options?.carrier;
    let room = 0;
    let encoded: Sendable | undefined;
    if (maxPayload >= LARGEST_PACKED) {
      encoded = packCall(this.#chunks, name, args, carrier);
    }
    let size = encoded?.length ?? 0;
    if (encoded === undefined) {
      ({ encoded, room } = encodeArgs(name, args, carrier));
      size = sizeOf(encoded, maxPayload + room) - room;
      if (size > maxPayload) {
        throw tooLarge(name, 'arguments', size, maxPayload, 'not-sent');
      }
    }
    const full = this.#pending.whyFull(name, encoded.length);
    if (full) {
      this.#pending.forget(encoded);
      throw full;
    }
    const mayRepeat = options?.idempotent === true;
    const call = new Call(name, encoded, room, size, carrier, mayRepeat, this.tally, began);
    this.#pending.add(call);
    if (options?.timeout !== undefined) {
      call.deadline = setTimeout(() => this.#expire(call, options.timeout as number), options.timeout);
    }
    if (options?.signal) {
      this.#listen(call, options.signal);
    }
    return call;
  }

  /** The primary answers now: what waits is sent, in order. */
  open(lane: OutgoingLane): void {
    this.#wordsTo = lane;
    this.#sending.open(lane);
  }

  /** Nothing more is sent on the lane, but what was sent may still be answered. */
  pause(): void {
    this.#sending.pause();
  }

  /** This process has become primary itself: what waits runs here, in order. */
  runHere(
    invoke: (name: string, args: unknown[], waited: WaitedCall | undefined) => unknown,
    waitedCall?: (carrier: Carrier | undefined) => WaitedCall | undefined,
  ): void {
    for (const call of this.#sending.take()) {
      if (this.#pending.get(call.id) !== call) {
        // One of those before it has made its caller give up.
        continue;
      }
      call.mayHaveRun = true;
      const waited = waitedCall?.(call.carrier);
      // Its timeout and its signal still end the wait, and so does the end of this engine: the method hears of it.
      const { unlisten } = call;
      call.unlisten = () => {
        unlisten?.();
        waited?.leave();
      };
      const settle = (how: () => void) => {
        if (this.#pending.get(call.id) === call) {
          call.unlisten = unlisten;
          this.#pending.release(call);
          how();
        }
      };
      const failed = (error: unknown) => {
        waited?.end();
        settle(() => call.fail(error));
      };
      const succeeded = (value: unknown) => {
        if (waited && isAsyncGeneratorObject(value)) {
          settle(() => call.succeed(ending(value, () => waited.end())));
        } else {
          waited?.end();
          settle(() => call.succeed(value));
        }
      };
      try {
        const result = invoke(call.name, call.readArgs(), waited);
        if (typeof (result as PromiseLike<unknown> | null | undefined)?.then === 'function') {
          Promise.resolve(result).then(succeeded, failed);
        } else {
          succeeded(result);
        }
      } catch (error) {
        failed(error);
      }
    }
  }

  /** The primary is frozen: nothing is known of what was sent, and what is not sent fails until it goes on. */
  freeze(why: (what: string, outcome: CallOutcome) => ProcessAgentError): void {
    this.#frozen = why;
    for (const call of this.#sending.take()) {
      this.#pending.release(call);
      call.fail(why(call.name, call.outcome));
    }
    // When it goes on it hears that nobody waits: a stream would wait for its reader for ever.
    const words = this.#wordsTo && new Batch<void>(this.#wordsTo, () => {});
    for (const call of this.#pending.all()) {
      if (call.lane && !call.abandoned) {
        words?.add(undefined, verbText(call.id, Verb.Cancel, 0));
        this.#abandon(call, why(call.name, 'unknown'));
      }
    }
    words?.flush();
  }

  thaw(): void {
    this.#frozen = undefined;
  }

  /** Replies that came on `lane`. */
  receive(lane: number, payload: string | Buffer): void {
    try {
      readReplies(payload, this.#sinkOf(lane));
    } finally {
      this.#putBackRefused();
    }
  }

  /** Packed replies: the first `length` bytes. */
  receivePacked(lane: number, bytes: Buffer, length: number): void {
    try {
      readPackedReplies(bytes, length, this.#sinkOf(lane));
    } finally {
      this.#putBackRefused();
    }
  }

  #sinkOf(lane: number): ReplySink {
    // A reply belongs to the lane that its call was sent on; anything else is late, or wrong.
    const callOf = (id: number) => {
      const call = this.#pending.get(id);
      return call && call.lane === lane && call.frame > 0 ? call : undefined;
    };
    return {
      take: (id, status, value) => {
        const call = callOf(id);
        if (call) {
          this.#heed(call, status, value);
        }
      },
      refuse: (id, status, cause) => {
        const call = callOf(id);
        if (call) {
          this.#unreadable(call, status, cause);
        }
      },
    };
  }

  /**
   * A lane has been read to its end: no reply comes any more. Calls that the primary has not seen are sent again to
   * the next one, and so is, once, an idempotent call whose primary has died. Not after a relief: that call may be what
   * got the primary stuck.
   */
  closeLane(lane: number, end: LaneEnd): void {
    if (this.#sending.laneId === lane) {
      this.pause();
    }
    if (this.#wordsTo?.id === lane) {
      this.#wordsTo = undefined;
    }
    const again: Call[] = [];
    for (const call of this.#pending.all()) {
      if (call.lane !== lane) {
        continue;
      }
      const wasSeen = call.frame <= (end.accepted ?? end.written);
      if (call.abandoned) {
        this.#pending.release(call);
      } else if (!wasSeen) {
        again.push(call);
      } else if (end.accepted === null && call.mayRepeat && !call.stream) {
        call.mayRepeat = false;
        call.mayHaveRun = true;
        again.push(call);
      } else {
        this.#pending.release(call);
        this.#fail(call, lost(call.name, end));
      }
    }
    this.#sending.putBack(again);
  }

  /** Every call that is left ends here. */
  close(): void {
    this.#closed = true;
    this.#wordsTo = undefined;
    this.#sending.close();
    for (const call of this.#pending.all()) {
      this.#pending.release(call);
      if (!call.abandoned) {
        this.#fail(call, closedError(call.outcome, call.name));
      }
    }
  }

  #refuseWhenImpossible(name: string, signal: AbortSignal | undefined): void {
    if (this.#closed) {
      throw closedError('not-sent', name);
    }
    if (this.#frozen) {
      throw this.#frozen(name, 'not-sent');
    }
    if (signal?.aborted) {
      throw aborted(name, signal, 'not-sent');
    }
  }

  #listen(call: Call, signal: AbortSignal): void {
    const onAbort = () => this.#giveUp(call, outcome => aborted(call.name, signal, outcome));
    call.unlisten = whenAborted(signal, onAbort);
  }

  #waitedInVain(call: Call): void {
    this.#drop(call);
    const message = `${readable(call.name)}: waited ${this.limits.readyTimeout} ms (processAgent.readyTimeout): ${this.whyWaiting()}`;
    call.fail(new ProcessAgentError('ERR_AGENT_NO_PRIMARY', message, { outcome: call.outcome }));
  }

  #expire(call: Call, timeout: number): void {
    this.#giveUp(call, outcome => timedOut(call.name, timeout, outcome));
  }

  /** The caller waits no longer; if the primary has the call, it is told. */
  #giveUp(call: Call, why: (outcome: CallOutcome) => ProcessAgentError): void {
    const error = why(call.outcome);
    if (call.lane) {
      this.#say(call, Verb.Cancel);
      this.#abandon(call, error);
    } else {
      this.#drop(call);
      call.fail(error);
    }
  }

  /** Settles a call that was sent; only its number stays taken, until no reply to it can come. */
  #abandon(call: Call, error: unknown): void {
    this.#pending.abandon(call);
    this.#fail(call, error);
  }

  #fail(call: Call, error: unknown): void {
    if (!call.stream) {
      call.fail(error);
    } else if (call.stream.isReturning) {
      // Its caller has left the loop, and waits for nothing but its end.
      call.stream.end(undefined);
    } else {
      call.stream.fail(error);
    }
  }

  #say(call: Call, verb: number, number = 0): void {
    if (this.#wordsTo?.id === call.lane) {
      this.#wordsTo.send(`[${verbText(call.id, verb, number)}]`);
    }
  }

  #drop(call: Call): void {
    this.#sending.remove(call);
    this.#pending.release(call);
  }

  #heed(call: Call, status: number, value: unknown): void {
    switch (status) {
      case Status.NotAccepted:
        this.#notAccepted(call);
        return;
      case Status.Stream:
        this.#openStream(call);
        return;
      case Status.Item:
      case Status.UndefinedItem:
        if (call.abandoned) {
          this.#say(call, Verb.Return);
        } else {
          call.stream?.push(status === Status.Item ? value : undefined);
        }
        return;
    }
    this.#pending.release(call);
    if (call.abandoned) {
      return;
    }
    if (status === Status.Thrown) {
      const thrown = () => decodeThrown(value as PlainError, call.mayHaveRun);
      call.stream ? call.stream.fail(thrown()) : call.failWith(thrown);
    } else if (call.stream) {
      call.stream.end(status === Status.End ? value : undefined);
    } else {
      call.succeed(status === Status.Undefined ? undefined : value);
    }
  }

  #unreadable(call: Call, status: number, cause: unknown): void {
    const isItem = status === Status.Item;
    if (!isItem) {
      this.#pending.release(call);
    }
    if (call.abandoned) {
      return;
    }
    const message = `${readable(call.name)}: this process (${runtime.title}) can't read the result: ${cause}`;
    const error = new ProcessAgentError('ERR_AGENT_NOT_SERIALIZABLE', message, { outcome: 'executed', cause });
    if (isItem) {
      // Its generator is to end; only then is the slot free.
      this.#say(call, Verb.Return);
      this.#abandon(call, error);
    } else {
      this.#fail(call, error);
    }
  }

  #notAccepted(call: Call): void {
    if (call.abandoned) {
      this.#pending.release(call);
    } else {
      this.#refused.push(call);
    }
  }

  /** They come again when there is another primary: this one takes nothing more. */
  #putBackRefused(): void {
    if (this.#refused.length > 0) {
      this.pause();
      this.#sending.putBack(this.#refused);
      this.#refused = [];
    }
  }

  /** The call has its result, a stream; its number stays taken until the stream has ended. */
  #openStream(call: Call): void {
    if (call.stream) {
      return;
    }
    if (call.abandoned) {
      this.#say(call, Verb.Return);
      return;
    }
    clearTimeout(call.deadline);
    this.#pending.forget(call.args);
    call.args = '';
    call.stream = new StreamReader({
      taken: count => this.#say(call, Verb.Taken, count),
      stop: () => this.#say(call, Verb.Return),
    });
    call.succeed(generatorOf(call.stream));
    call.forgetPromise();
  }
}
