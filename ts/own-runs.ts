/**
 * What the primary runs for its own process, where something is kept for the next primary (`transfer()`): calls of
 * others are answered before it gives up, and so must these be, or what they change would be changed too late.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { types } from 'node:util';
import { isAsyncIterable, within } from './stream';
import { WhenIdle } from './when-idle';

interface Run {
  ended: boolean;
}

export class OwnRuns {
  readonly #current = new AsyncLocalStorage<Run>();
  #running = 0;
  #finishing = false;
  readonly #idle = new WhenIdle(() => this.isBusy);

  /** A promise of the result counts as running until it has settled; a generator while it is read. */
  run(work: () => unknown): unknown {
    const run: Run = { ended: false };
    let result: unknown;
    try {
      result = this.#current.run(run, work);
    } finally {
      run.ended = !types.isPromise(result);
    }
    if (types.isPromise(result)) {
      this.#running++;
      return result.then(
        value => {
          this.#end(run);
          return this.#read(value);
        },
        error => {
          this.#end(run);
          throw error;
        },
      );
    }
    return this.#read(result);
  }

  /**
   * Whether this is a part of something that began while this process was primary, and is awaited now: what it calls
   * runs here as well, because the next primary waits for it.
   */
  get goesOn(): boolean {
    return this.#finishing && this.#current.getStore()?.ended === false;
  }

  get isBusy(): boolean {
    return this.#running > 0;
  }

  /** The same as `idle()`, for a process that is primary no more: nothing new is begun here. */
  async finish(timeout: number): Promise<void> {
    this.#finishing = true;
    await this.idle(timeout);
    this.#finishing = false;
  }

  /** Resolves when what runs has ended, or after `timeout` ms. */
  idle(timeout: number): Promise<void> {
    return this.#idle.wait(timeout);
  }

  /** The body of a generator runs where it is read. Other streams are passed as the objects that they are. */
  #read(result: unknown): unknown {
    return isAsyncIterable(result) && types.isGeneratorObject(result) ? this.#reading(result) : result;
  }

  /** Counts from the first `next()` on. Who never leaves the loop holds up a stop for as long as it waits at all. */
  async *#reading(generator: AsyncIterable<unknown>): AsyncGenerator<unknown, unknown, unknown> {
    const run: Run = { ended: false };
    this.#running++;
    try {
      return yield* within(generator, work => this.#current.run(run, work));
    } finally {
      this.#end(run);
    }
  }

  #end(run: Run): void {
    run.ended = true;
    if (--this.#running === 0) {
      this.#idle.tell();
    }
  }
}
