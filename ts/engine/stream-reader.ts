/** The caller's side of a stream: an async generator whose items come from the primary. */

export interface StreamSource {
  /** So many more items were taken. */
  taken(count: number): void;
  /** No further item is wanted; the end follows. */
  stop(): void;
}

interface Waiting {
  resolve(result: IteratorResult<unknown>): void;
  reject(error: unknown): void;
}

type End = { value: unknown } | { error: unknown };

/** Items taken are told in lots of this many, or when none is left. */
const LOT = 8;

export class StreamReader {
  readonly #source: StreamSource;
  #items: unknown[] = [];
  #waiting: Waiting[] = [];
  #untold = 0;
  #end: End | undefined;
  /** `return()` was called: what still comes is dropped. */
  #returning = false;
  readonly #returned: Promise<void>;
  #whenEnded!: () => void;

  constructor(source: StreamSource) {
    this.#source = source;
    this.#returned = new Promise(resolve => {
      this.#whenEnded = resolve;
    });
  }

  /** An item has come. */
  push(item: unknown): void {
    if (this.#returning || this.#end) {
      return;
    }
    const next = this.#waiting.shift();
    if (next) {
      next.resolve({ value: item, done: false });
      this.#take();
    } else {
      this.#items.push(item);
    }
  }

  /** Nothing more comes. */
  end(value: unknown): void {
    this.#close({ value });
  }

  fail(error: unknown): void {
    this.#close({ error });
  }

  async next(): Promise<IteratorResult<unknown>> {
    if (this.#items.length > 0) {
      const value = this.#items.shift();
      this.#take();
      return { value, done: false };
    }
    if (this.#end || this.#returning) {
      return this.#takeEnd();
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
  }

  /** Resolves when the generator in the primary has run its `finally`; rejects when that has thrown. */
  async return(value?: unknown): Promise<IteratorResult<unknown>> {
    this.#items = [];
    if (!this.#end && !this.#returning) {
      this.#returning = true;
      this.#source.stop();
      for (const next of this.#waiting.splice(0)) {
        next.resolve({ value: undefined, done: true });
      }
    }
    await this.#returned;
    const end = this.#end;
    this.#end = { value: undefined };
    if (end && 'error' in end && this.#returning) {
      throw end.error;
    }
    return { value, done: true };
  }

  /** Nobody holds the stream any more. */
  drop(): void {
    if (!this.#end && !this.#returning && this.#waiting.length === 0) {
      this.#returning = true;
      this.#source.stop();
    }
  }

  get isReturning(): boolean {
    return this.#returning;
  }

  #take(): void {
    this.#untold++;
    if (!this.#end && (this.#untold >= LOT || this.#items.length === 0)) {
      this.#source.taken(this.#untold);
      this.#untold = 0;
    }
  }

  /** The end is told once: whoever asks on gets nothing, as of a generator. */
  #takeEnd(): IteratorResult<unknown> {
    const end = this.#end;
    if (end) {
      this.#end = { value: undefined };
      if ('error' in end) {
        throw end.error;
      }
    }
    return { value: end?.value, done: true };
  }

  #close(end: End): void {
    if (this.#end) {
      return;
    }
    this.#end = end;
    this.#whenEnded();
    const [first, ...others] = this.#waiting.splice(0);
    if (first) {
      try {
        first.resolve(this.#takeEnd());
      } catch (error) {
        first.reject(error);
      }
    }
    for (const next of others) {
      next.resolve({ value: undefined, done: true });
    }
  }
}

/** A stream that nobody holds any more must not keep its generator, and this process, waiting for ever. */
const dropped = new FinalizationRegistry<StreamReader>(reader => reader.drop());

/** What the caller gets: holds the reader, which does not hold it. */
export function generatorOf(reader: StreamReader): AsyncGenerator<unknown, unknown, void> {
  const generator = {
    next: () => reader.next(),
    return: (value?: unknown) => reader.return(value),
    async throw(error: unknown): Promise<IteratorResult<unknown>> {
      await reader.return();
      throw error;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  } as AsyncGenerator<unknown, unknown, void>;
  const { asyncDispose } = Symbol as { asyncDispose?: symbol };
  if (asyncDispose) {
    Object.defineProperty(generator, asyncDispose, { value: async () => void (await reader.return()) });
  }
  dropped.register(generator, reader);
  return generator;
}
