/** The clock of durations and deadlines. What people read is `Date.now()`, which somebody may set at any moment. */

/** ms of a clock that nobody sets: only differences mean something, and only in this thread. */
export function now(): number {
  return performance.now();
}

/** A moment from which on something is not waited for any more. */
export class Deadline {
  readonly #at: number;

  /** In `ms` from now. */
  constructor(ms: number) {
    this.#at = now() + ms;
  }

  /** Whole ms, which is all that some timers take; 0 when it has passed. */
  get left(): number {
    return Math.max(0, Math.ceil(this.#at - now()));
  }

  get hasPassed(): boolean {
    return this.left === 0;
  }
}
