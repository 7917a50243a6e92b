/** Which error classes this process knows, and their names between processes. */
import { types } from 'node:util';
import { ProcessAgentError } from '../agentError';

// Any class, private constructors too: none is ever run.
// biome-ignore lint/complexity/noBannedTypes: a class of the user's, of which only the prototype and name matter.
type ErrorClass = Function & { prototype: Error };

/** Most ancestors of an error's class that are named. */
const MAX_CHAIN = 32;

const byWireName = new Map<string, ErrorClass>();
const wireNames = new Map<unknown, string>();
let knowsCore = false;

/**
 * Makes an error class known, so that an instance thrown in the primary arrives as an instance in the caller. Call it
 * where the class is defined: in every process. `name` tells classes of one name apart; default: the class's name.
 */
export function registerError(cls: ErrorClass, name: string = cls?.name): void {
  if (typeof cls !== 'function' || !(cls.prototype instanceof Error)) {
    throw new ProcessAgentError('ERR_AGENT_CONFIG', 'registerError() takes a class that extends Error.');
  }
  if (typeof name !== 'string' || name === '') {
    throw new ProcessAgentError(
      'ERR_AGENT_CONFIG',
      'registerError(): a class without a name needs one as 2nd argument.',
    );
  }
  const known = byWireName.get(`app:${name}`);
  if (known && known !== cls) {
    throw new ProcessAgentError(
      'ERR_AGENT_AMBIGUOUS',
      `registerError(): another class is already registered as '${name}'; give one of them a name as 2nd argument.`,
    );
  }
  know(`app:${name}`, cls);
}

/** Wire names of the error's class and its ancestors, most derived first, e.g. `['app:OrderError', 'node:Error']`. */
export function chainOf(err: Error): string[] {
  knowBuiltIns();
  const chain: string[] = [];
  for (let proto = Object.getPrototypeOf(err); proto && proto !== Object.prototype; ) {
    const cls: unknown = Object.getOwnPropertyDescriptor(proto, 'constructor')?.value;
    if (typeof cls === 'function' && chain.length < MAX_CHAIN) {
      // A class that only bears a known name is not that class: a user's NotFoundError is not Midway's.
      const wireName = wireNames.get(cls) ?? `app:${cls.name}`;
      if (wireNames.has(cls) || !byWireName.has(wireName)) {
        chain.push(wireName);
      }
    }
    proto = Object.getPrototypeOf(proto);
  }
  if (!chain.some(wireName => byWireName.has(wireName)) && types.isNativeError(err)) {
    // Of another realm. What it says of itself may be a getter that throws.
    const name = chain.map(each => each.replace(/^app:/, 'node:')).find(each => byWireName.has(each));
    chain.push(name ?? 'node:Error');
  }
  return chain;
}

/** The class that stands first in `chain` of those that this process knows. */
export function nearestClass(chain: string[]): ErrorClass {
  knowBuiltIns();
  const wireName = chain.find(each => byWireName.has(each));
  return (wireName === undefined ? undefined : byWireName.get(wireName)) ?? Error;
}

function know(wireName: string, cls: ErrorClass): void {
  byWireName.set(wireName, cls);
  wireNames.set(cls, wireName);
}

/** Built-ins and Midway's classes; not at load, because an application that never fails should not pay for it. */
function knowBuiltIns(): void {
  if (knowsCore) {
    return;
  }
  knowsCore = true;
  const natives = [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError];
  for (const cls of [...natives, DOMException]) {
    know(`node:${cls.name}`, cls);
  }
  know('node:AssertionError', (require('node:assert') as typeof import('node:assert')).AssertionError);
  know('agent:ProcessAgentError', ProcessAgentError);
  const core = require('@midwayjs/core') as Record<string, unknown>;
  for (const exported of [core, (core.httpError ?? {}) as Record<string, unknown>]) {
    for (const [name, cls] of Object.entries(exported)) {
      if (typeof cls === 'function' && cls.prototype instanceof Error && !wireNames.has(cls)) {
        know(`midway:${name}`, cls as unknown as ErrorClass);
      }
    }
  }
}
