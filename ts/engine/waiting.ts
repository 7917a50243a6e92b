/** Calls that are not sent yet, in the order in which they were made. Without a primary each waits for a bounded time. */
import { Deadline } from '../clock';
import type { Call } from './call';

export class WaitingCalls {
  #calls: Call[] = [];

  constructor(
    private readonly readyTimeout: number,
    /** A call has waited in vain. */
    private readonly expired: (call: Call) => void,
  ) {}

  get count(): number {
    return this.#calls.length;
  }

  add(call: Call): void {
    this.#calls.push(call);
  }

  /** Puts calls back that were sent, or taken to be, to where they were in the order. */
  putBack(calls: Call[]): void {
    for (const call of calls) {
      call.lane = 0;
      call.frame = 0;
    }
    calls.sort((a, b) => a.order - b.order);
    this.#calls = merged(calls, this.#calls);
  }

  /** All of them; they wait no longer. */
  take(): Call[] {
    const calls = this.#calls;
    this.#calls = [];
    for (const call of calls) {
      if (call.waiting !== undefined) {
        clearTimeout(call.waiting);
        call.waiting = undefined;
      }
    }
    return calls;
  }

  remove(call: Call): void {
    this.#calls = this.#calls.filter(each => each !== call);
  }

  /** There is no primary: the time that each may wait runs. Counted from the first wait, however often it comes back. */
  startTimers(calls = this.#calls): void {
    for (const call of calls) {
      this.startTimer(call);
    }
  }

  startTimer(call: Call): void {
    call.waitsUntil ??= new Deadline(this.readyTimeout);
    call.waiting ??= setTimeout(this.expired, call.waitsUntil.left, call);
  }
}

/** Two lists of calls in order as one. A new primary's, or an old one's many refusals: sorting all each time would take seconds. */
function merged(some: Call[], others: Call[]): Call[] {
  const all: Call[] = [];
  let i = 0;
  for (const other of others) {
    while (i < some.length && some[i].order < other.order) {
      all.push(some[i++]);
    }
    all.push(other);
  }
  while (i < some.length) {
    all.push(some[i++]);
  }
  return all;
}
