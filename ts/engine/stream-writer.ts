/**
 * The primary's side of a stream: takes items of an async iterable as long as the caller takes them, and no more than a
 * window ahead of it.
 */

/** How many items, and about how many bytes, may be on their way to a caller that has not taken them. */
const WINDOW_ITEMS = 16;
const WINDOW_BYTES = 256 * 1024;

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

  /** Nobody wants more: the generator runs its `finally`, and then the stream has ended. */
  async stop(): Promise<void> {
    if (this.#ended) {
      return;
    }
    this.#ended = true;
    try {
      await this.#iterator.return?.();
      this.#sink.end(undefined);
    } catch (error) {
      this.#sink.fail(error);
    }
  }

  /** The stream ends with `error`, which is not its own. */
  fail(error: unknown): void {
    this.#finish(() => this.#sink.fail(error));
    // It has still to run its `finally`; what that throws is nobody's.
    Promise.resolve(this.#iterator.return?.()).catch(() => {});
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
