/**
 * What the primary runs for its own process, where something is kept for the next primary (`transfer()`): calls of
 * others are answered before it gives up, and so must these be, or what they change would be changed too late.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { types } from 'node:util';
import { WhenIdle } from './when-idle';

interface Run {
  ended: boolean;
}

export class OwnRuns {
  readonly #current = new AsyncLocalStorage<Run>();
  #running = 0;
  #finishing = false;
  readonly #idle = new WhenIdle(() => this.isBusy);

  /** A promise of the result counts as running until it has settled. */
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
      const end = () => {
        run.ended = true;
        if (--this.#running === 0) {
          this.#idle.tell();
        }
      };
      result.then(end, end);
    }
    return result;
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
}
