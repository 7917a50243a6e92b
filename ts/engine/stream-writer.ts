/**
 * The primary's side of a stream: takes items of an async iterable as long as the caller takes them, and no more than a
 * window ahead of it.
 */

/** How many items, and about how many bytes, may be on their way to a caller that has not taken them. */
const WINDOW_ITEMS = 16;
const WINDOW_BYTES = 256 * 1024;

/** How long (ms) a caller who leaves waits for a generator that is in the middle of its next item. */
const PATIENCE = 1000;

export interface StreamSink {
  /** Sends an item and returns its size; throws when it can't be sent. */
  item(value: unknown): number;
  /** The stream has ended, with what its generator returned. */
  end(value: unknown): void;
  /** The iterable has thrown, or an item can't be sent. */
  fail(error: unknown): void;
}

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Partial<AsyncIterable<unknown>>)[Symbol.asyncIterator] === 'function'
  );
}

export class StreamWriter {
  readonly #iterator: AsyncIterator<unknown>;
  readonly #sink: StreamSink;
  /** Sizes of the items that are on their way. */
  readonly #sizes: number[] = [];
  #bytes = 0;
  #pulling = false;
  #ended = false;

  constructor(iterable: AsyncIterable<unknown>, sink: StreamSink) {
    this.#iterator = iterable[Symbol.asyncIterator]();
    this.#sink = sink;
  }

  /** Goes on while the window is open. */
  async pull(): Promise<void> {
    if (this.#pulling) {
      return;
    }
    this.#pulling = true;
    try {
      while (!this.#ended && this.#hasRoom()) {
        const { done, value } = await this.#iterator.next();
        if (this.#ended) {
          return;
        }
        if (done) {
          this.#finish(() => this.#sink.end(value));
          return;
        }
        this.#send(value);
      }
    } catch (error) {
      this.#finish(() => this.#sink.fail(error));
    } finally {
      this.#pulling = false;
    }
  }

  /** The caller has taken so many more items. */
  taken(count: number): void {
    for (const size of this.#sizes.splice(0, Math.max(0, count))) {
      this.#bytes -= size;
    }
    this.pull();
  }

  /**
   * Nobody wants more: the generator runs its `finally`, and then the stream has ended. One that waits for its next item,
   * which was asked for ahead of the caller, can't run it before that is there: its caller does not wait for ever.
   */
  async stop(): Promise<void> {
    if (this.#ended) {
      return;
    }
    this.#ended = true;
    let told = false;
    const tell = (how: () => void) => {
      clearTimeout(timer);
      if (!told) {
        told = true;
        how();
      }
    };
    const timer = this.#pulling ? setTimeout(tell, PATIENCE, () => this.#sink.end(undefined)) : undefined;
    try {
      await this.#iterator.return?.();
      tell(() => this.#sink.end(undefined));
    } catch (error) {
      tell(() => this.#sink.fail(error));
    }
  }

  /** The stream ends with `error`, which is not its own. */
  fail(error: unknown): void {
    this.#finish(() => this.#sink.fail(error));
    // It has still to run its `finally`; what that throws is nobody's.
    (async () => this.#iterator.return?.())().catch(() => {});
  }

  #send(value: unknown): void {
    try {
      const size = this.#sink.item(value);
      this.#sizes.push(size);
      this.#bytes += size;
    } catch (error) {
      this.fail(error);
    }
  }

  #finish(tell: () => void): void {
    if (!this.#ended) {
      this.#ended = true;
      tell();
    }
  }

  #hasRoom(): boolean {
    return this.#sizes.length === 0 || (this.#sizes.length < WINDOW_ITEMS && this.#bytes < WINDOW_BYTES);
  }
}
