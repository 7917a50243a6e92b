/** One call of this process, from when it is made until its number is free again. */
import type { Deadline } from '../clock';
import { decode } from '../codec';
import type { CallOutcome } from '../errors';
import { Packed, type Sendable } from './chunks';
import type { Carrier } from './engine';
import { argsOf } from './packed-frames';
import type { StreamReader } from './stream-reader';

/** Counts how calls end. */
export interface Tally {
  /** A call is made. Returns what its end is to be told with. */
  begin(): number | undefined;
  succeeded(began: number | undefined): void;
  failed(began: number | undefined, error: unknown): void;
}

/** A class, and filled in one go: a call has no other object of its own, and all have one shape. */
export class Call {
  /** Its slot; also its number between processes. */
  id = 0;
  /** The order in which calls were made. */
  order = 0;
  /** It was sent to a primary that has died. */
  mayHaveRun = false;
  /** Where it was sent; 0 while it waits. */
  lane = 0;
  frame = 0;
  /** Settled early; the slot stays taken until the reply comes or the lane ends. */
  abandoned = false;
  deadline: NodeJS.Timeout | undefined = undefined;
  waiting: NodeJS.Timeout | undefined = undefined;
  waitsUntil: Deadline | undefined = undefined;
  /** Stops listening to the caller's AbortSignal. */
  unlisten: (() => void) | undefined = undefined;
  stream: StreamReader | undefined = undefined;
  /** What it counts for in `maxPendingBytes`. */
  readonly held: number;
  /** These hold the promise. */
  resolve!: (value: unknown) => void;
  reject!: (error: unknown) => void;

  constructor(
    readonly name: string,
    public args: Sendable,
    /** How many bytes of them are left for a head. */
    public room: number,
    /** Bytes of `args`, at the most. */
    public size: number,
    /** What travels beside it. */
    readonly carrier: Carrier | undefined,
    /** It may be sent again, once. */
    public mayRepeat: boolean,
    private readonly tally: Tally,
    private readonly began: number | undefined,
  ) {
    this.held = args.length;
  }

  /** What the caller gets. */
  promise(): Promise<unknown> {
    promised = this;
    const promise = new Promise(giveToCall);
    promised = undefined;
    return promise;
  }

  succeed(value: unknown): void {
    this.tally.succeeded(this.began);
    this.resolve(value);
  }

  fail(error: unknown): void {
    this.tally.failed(this.began, error);
    this.reject(error);
  }

  /**
   * Fails with an error that is made a little later, in a reaction that leads to the caller's promise: only from there
   * does V8 see who awaits it, and shows them in the error's stack. To take the stack before each call would cost more
   * than the call, and so would a layer that awaits each call to see whether it fails.
   */
  failWith(makeError: () => unknown): void {
    const failed = Promise.resolve()
      // By then the caller's promise follows.
      .then(() => {})
      .then(() => {
        const error = makeError();
        this.tally.failed(this.began, error);
        throw error;
      });
    this.resolve(failed);
  }

  /** Its result is a stream: nobody but the caller may hold its generator. */
  forgetPromise(): void {
    this.resolve = settled;
    this.reject = settled;
  }

  /** The arguments, read again. */
  readArgs(): unknown[] {
    const { args, room } = this;
    if (args instanceof Packed) {
      return argsOf(args);
    }
    return decode(typeof args === 'string' ? args : args.subarray(room)) as unknown[];
  }

  /** What is known of it if it ends without a reply. */
  get outcome(): CallOutcome {
    return this.lane || this.mayHaveRun ? 'unknown' : 'not-sent';
  }

  /** Nothing ends it any more but a reply, or the end of its lane. */
  stopWaiting(): void {
    if (this.deadline !== undefined) {
      clearTimeout(this.deadline);
    }
    if (this.waiting !== undefined) {
      clearTimeout(this.waiting);
    }
    this.unlisten?.();
  }
}

/** The call whose promise is being made: to make a function for each takes as long as the promise. */
let promised: Call | undefined;

function giveToCall(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
  const call = promised as Call;
  call.resolve = resolve;
  call.reject = reject;
}

function settled(): void {}
