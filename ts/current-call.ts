/**
 * The call that is being run for another member, for whoever asks in it. Kept in an AsyncLocalStorage, which makes
 * every promise of a process dearer: there is none before a call is made in an application that can ask.
 */
import type { AsyncLocalStorage } from 'node:async_hooks';
import type { CurrentCall } from './interface';
import { overStream, within } from './stream';

let storage: AsyncLocalStorage<CurrentCall> | undefined;

export function currentCall(): CurrentCall | undefined {
  return storage?.getStore();
}

/** Runs what it is given as a part of `call`. */
export function inside(call: CurrentCall): <T>(run: () => T) => T {
  storage ??= makeStorage();
  const current = storage;
  return run => current.run(call, run);
}

/** Runs a call as `call`; if it gives an async iterable, that one's body as well. */
export function runUnder(call: CurrentCall, run: () => unknown): unknown {
  const enter = inside(call);
  return overStream(enter(run), stream => within(stream, enter));
}

function makeStorage(): AsyncLocalStorage<CurrentCall> {
  const hooks = require('node:async_hooks') as typeof import('node:async_hooks');
  return new hooks.AsyncLocalStorage();
}
