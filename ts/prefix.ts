import { withoutMark } from './build-mark';

/**
 * What the names of other things than `@RunInPrimary()` methods begin with between processes, so that none is ever taken
 * for another: handlers, `@RunInAll()` methods, methods of classes for `inAll()`, and what this package asks for itself.
 */
export const PREFIX = { handler: '#', all: '*', inAll: '&', own: '!' } as const;

export const RESERVED = /^[#*&!]/;

/** A name between processes as its user knows it, for messages. */
export function readable(name: string): string {
  const isGiven = name.startsWith(PREFIX.handler) || name.startsWith(PREFIX.own);
  return (isGiven ? name : withoutMark(name)).replace(RESERVED, '');
}
