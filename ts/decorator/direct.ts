/**
 * Midway's aspects and method decorators look whether a method is an async function, and wrap it accordingly. They look
 * while an application starts. An async function costs a call two promises, a fifth of all that it costs; so, once the
 * application is ready, those that nobody has wrapped are replaced by functions that give back the call's own promise.
 */
import type { AnyMethod, DecoratedMethod } from './registry';

/** The application is ready: nobody looks any more. */
export function goDirect(methods: DecoratedMethod[]): void {
  for (const { owner, key, forms } of methods) {
    if (forms) {
      exchange(owner, key, forms.asynchronous, forms.direct);
    }
  }
}

/** The application has ended: the next one may look. */
export function goAsync(methods: DecoratedMethod[]): void {
  for (const { owner, key, forms } of methods) {
    if (forms) {
      exchange(owner, key, forms.direct, forms.asynchronous);
    }
  }
}

/** Unless something else stands there. */
function exchange(owner: object, key: string, from: AnyMethod, to: AnyMethod): void {
  const descriptor = Object.getOwnPropertyDescriptor(owner, key);
  if (descriptor?.value === from && descriptor.configurable) {
    Object.defineProperty(owner, key, { ...descriptor, value: to });
  }
}
