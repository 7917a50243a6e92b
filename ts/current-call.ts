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

/** Runs a call under `call`; if it gives an async iterable, that one's body as well. */
export function runUnder(call: CurrentCall, run: () => unknown): unknown {
  storage ??= makeStorage();
  const current = storage;
  const enter = <T>(fn: () => T): T => current.run(call, fn);
  return overStream(enter(run), stream => within(stream, enter));
}

function makeStorage(): AsyncLocalStorage<CurrentCall> {
  const hooks = require('node:async_hooks') as typeof import('node:async_hooks');
  return new hooks.AsyncLocalStorage();
}
