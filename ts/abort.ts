/** Signals: those that are made here for the application, and those that it gives. */
import { setMaxListeners } from 'node:events';

/** A controller whose signal the application gets: as many may listen to it as want to. */
export function sharedController(): AbortController {
  const controller = new AbortController();
  letAllListen(controller.signal);
  return controller;
}

/** Node takes an eleventh listener for a leak and warns; many calls that end with one signal are none. */
export function letAllListen(signal: AbortSignal): void {
  setMaxListeners(0, signal);
}

/** The calls that wait for a signal of the application's, and the one listener that they share. */
class Waiting {
  readonly #calls = new Set<{ onAbort: () => void }>();

  constructor(private readonly signal: AbortSignal) {}

  /** Returns what ends the wait. */
  add(onAbort: () => void): () => void {
    // An object of its own, because one function may wait twice.
    const call = { onAbort };
    this.#calls.add(call);
    if (this.#calls.size === 1) {
      this.signal.addEventListener('abort', this.#tell);
    }
    return () => {
      if (this.#calls.delete(call) && this.#calls.size === 0) {
        this.signal.removeEventListener('abort', this.#tell);
      }
    };
  }

  readonly #tell = (): void => {
    for (const { onAbort } of [...this.#calls]) {
      onAbort();
    }
  };
}

const waiting = new WeakMap<AbortSignal, Waiting>();

/** Calls `onAbort`, which must not throw, when `signal` is aborted; returns what ends that. */
export function whenAborted(signal: AbortSignal, onAbort: () => void): () => void {
  let calls = waiting.get(signal);
  if (!calls) {
    calls = new Waiting(signal);
    waiting.set(signal, calls);
  }
  return calls.add(onAbort);
}
