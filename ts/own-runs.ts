/**
 * What the primary runs for its own process, where something is kept for the next primary (`transfer()`): calls of
 * others are answered before it gives up, and so must these be, or what they change would be changed too late.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { types } from 'node:util';
import { isAsyncGeneratorObject, within } from './stream';
import { WhenIdle } from './when-idle';

interface Run {
  ended: boolean;
  /** It holds up a stop also where nothing is handed over. */
  readonly holds: boolean;
}

export class OwnRuns {
  readonly #current = new AsyncLocalStorage<Run>();
  #running = 0;
  /** Those of them that hold up a stop in any case. */
  #holding = 0;
  #finishing = false;
  readonly #finished = new WhenIdle(() => this.#running > 0);
  readonly #idle = new WhenIdle(() => this.isBusy);

  /**
   * A promise of the result counts as running until it has settled; a generator while it is read. What `holds` not is
   * waited for only before something is handed over: a loop that ends with the tenure, which ends last elsewhere.
   */
  run(work: () => unknown, holds = true): unknown {
    const run: Run = { ended: false, holds };
    let result: unknown;
    try {
      result = this.#current.run(run, work);
    } finally {
      run.ended = !types.isPromise(result);
    }
    if (types.isPromise(result)) {
      this.#begin(run);
      return result.then(
        value => {
          this.#end(run);
          return this.#read(value, holds);
        },
        error => {
          this.#end(run);
          throw error;
        },
      );
    }
    return this.#read(result, holds);
  }

  /**
   * Whether this is a part of something that began while this process was primary, and is awaited now: what it calls
   * runs here as well, because the next primary waits for it.
   */
  get goesOn(): boolean {
    return this.#finishing && this.#current.getStore()?.ended === false;
  }

  get isBusy(): boolean {
    return this.#holding > 0;
  }

  /** Resolves when all has ended, or after `timeout` ms, in a process that is primary no more: nothing new is begun here. */
  async finish(timeout: number): Promise<void> {
    this.#finishing = true;
    await this.#finished.wait(timeout);
    this.#finishing = false;
  }

  /** Resolves when what holds up a stop has ended, or after `timeout` ms. */
  idle(timeout: number): Promise<void> {
    return this.#idle.wait(timeout);
  }

  /** The body of a generator runs where it is read. */
  #read(result: unknown, holds: boolean): unknown {
    return isAsyncGeneratorObject(result) ? this.#reading(result, holds) : result;
  }

  /** Counts from the first `next()` on. Who never leaves the loop holds up a stop for as long as it waits at all. */
  async *#reading(generator: AsyncIterable<unknown>, holds: boolean): AsyncGenerator<unknown, unknown, unknown> {
    const run: Run = { ended: false, holds };
    this.#begin(run);
    try {
      return yield* within(generator, work => this.#current.run(run, work));
    } finally {
      this.#end(run);
    }
  }

  #begin({ holds }: Run): void {
    this.#running++;
    this.#holding += Number(holds);
  }

  #end(run: Run): void {
    run.ended = true;
    this.#holding -= Number(run.holds);
    if (--this.#running === 0) {
      this.#finished.tell();
    }
    if (run.holds && this.#holding === 0) {
      this.#idle.tell();
    }
  }
}
