/**
 * Midway's aspects and method decorators look whether a method is an async function, and wrap it accordingly. They look
 * while an application starts. An async function costs a call two promises, a fifth of all that it costs; so, as long as
 * no application starts, those that nobody has wrapped are replaced by functions that give back the call's own promise.
 */
import { state } from '../state';
import type { AnyMethod, DecoratedMethod } from './registry';
import { copyLook } from './wrap';

/** An application is being loaded: Midway is about to look. */
export function goAsync(): void {
  state.loads++;
  allAsync();
}

/** An application joins: it is the one that was loaded last, unless several are loaded at the same time. */
export function joins(): void {
  state.joined = state.loads;
}

/** An application is ready, or has ended. Unless another one is about to start, nobody looks. */
export function goDirect(): void {
  allAsync();
  if (state.loads > state.joined || !state.memberships.every(each => each.isReady)) {
    return;
  }
  for (const { targets } of state.memberships) {
    // For these the container looks each time that it makes or ends an object, and waits for an async function alone.
    const lifecycle = targets.names.lifecycleMethods();
    for (const method of targets.names.methods()) {
      if (method.forms && !lifecycle.has(method)) {
        state.direct.add(method);
        exchange(method, method.forms.asynchronous, method.forms.direct);
      }
    }
  }
}

function allAsync(): void {
  for (const method of state.direct) {
    if (method.forms && exchange(method, method.forms.direct, method.forms.asynchronous)) {
      state.direct.delete(method);
    }
  }
}

/** Unless something else stands there. Decorators above ours, for one, have given it something since. */
function exchange({ owner, key }: DecoratedMethod, from: AnyMethod, to: AnyMethod): boolean {
  const descriptor = Object.getOwnPropertyDescriptor(owner, key);
  if (descriptor?.value !== from || !descriptor.configurable) {
    return false;
  }
  Object.defineProperty(owner, key, { ...descriptor, value: copyLook(from, to) });
  return true;
}
