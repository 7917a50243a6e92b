/** Which error classes this process knows, and their names between processes. */
import { types } from 'node:util';
import { type AgentErrorCode, ProcessAgentError } from '../agentError';
import { textOf } from '../guard';

/**
 * Any class, private constructors too: none is ever run. The second kind has no prototype of an error, and decides itself
 * what is an instance of it.
 */
// biome-ignore lint/complexity/noBannedTypes: a class of the user's, of which only the prototype and name matter.
export type ErrorClass = (Function & { prototype: Error }) | (abstract new (...args: never[]) => Error);

/** Most ancestors of an error's class that are named. */
const MAX_CHAIN = 32;

const byWireName = new Map<string, ErrorClass>();
/** By the class's prototype: not every prototype knows its class. */
const wireNames = new Map<object, string>();
/** Classes that decide by `Symbol.hasInstance` what is an instance of them, by wire name. */
const deciding = new Map<string, ErrorClass>();
/** What errors get as prototype that arrive as one of those classes. */
const madePrototypes = new Map<ErrorClass, object>();
let knowsCore = false;

/**
 * Makes an error class known, so that an instance thrown in the primary arrives as an instance in the caller. Call it
 * where the class is defined: in every process. `name` tells classes of one name apart; default: the class's name. Takes
 * classes whose instances are errors, and classes with a `Symbol.hasInstance` of their own (zod's `ZodError`). One that
 * can't be registered is left out, with a warning of the process (`ProcessAgentWarning`) that names it: its instances
 * arrive as their nearest known ancestor.
 */
export function registerError(cls: ErrorClass, name?: string): void {
  let refusal: Refusal | undefined;
  let wireName: string | undefined;
  try {
    wireName = name ?? cls?.name;
    refusal = whyNotRegistered(cls, wireName);
    if (!refusal) {
      know(`app:${wireName}`, cls);
      if (!hasErrorPrototype(cls)) {
        deciding.set(`app:${wireName}`, cls);
      }
    }
  } catch (error) {
    // A proxy's doing, or a getter's.
    refusal = ['ERR_AGENT_CONFIG', `it can't be read: ${textOf(error)}.`];
  }
  if (refusal) {
    const [code, reason] = refusal;
    process.emitWarning(
      `registerError(${describe(cls, wireName)}): ${reason} It is not registered: its instances arrive as their ` +
        'nearest known ancestor.',
      { type: 'ProcessAgentWarning', code },
    );
  }
}

type Refusal = [code: AgentErrorCode, reason: string];

function whyNotRegistered(cls: unknown, name: unknown): Refusal | undefined {
  if (typeof cls !== 'function' || typeof cls.prototype !== 'object' || cls.prototype === null) {
    return ['ERR_AGENT_CONFIG', 'this is no class.'];
  }
  if (!hasErrorPrototype(cls as ErrorClass)) {
    if (cls[Symbol.hasInstance] === Function.prototype[Symbol.hasInstance]) {
      return [
        'ERR_AGENT_CONFIG',
        'its instances are no errors, and it has no Symbol.hasInstance that says what is one.',
      ];
    }
    if (isInstance(new Error(), cls as ErrorClass)) {
      return ['ERR_AGENT_CONFIG', 'by its Symbol.hasInstance any error is an instance of it, so it tells nothing.'];
    }
  }
  if (typeof name !== 'string' || name === '') {
    return ['ERR_AGENT_CONFIG', 'a class without a name needs one as 2nd argument.'];
  }
  const known = byWireName.get(`app:${name}`);
  if (known && known !== cls) {
    return [
      'ERR_AGENT_AMBIGUOUS',
      `another class is already registered as '${name}'; give one of them a name as 2nd argument.`,
    ];
  }
  return undefined;
}

function describe(cls: unknown, name: unknown): string {
  return typeof cls === 'function'
    ? String(name || 'a class without a name')
    : (attempt(() => String(cls)) ?? typeof cls);
}

/** Whether instances of `cls` are errors, of this realm or of another one (a vm context, jest's). */
function hasErrorPrototype(cls: ErrorClass): boolean {
  for (let proto: object | null = cls.prototype; proto; proto = Object.getPrototypeOf(proto)) {
    if (proto === Error.prototype || isForeignErrorPrototype(proto)) {
      return true;
    }
  }
  return false;
}

function isForeignErrorPrototype(proto: object): boolean {
  const maker: unknown = Object.getOwnPropertyDescriptor(proto, 'constructor')?.value;
  return (
    typeof maker === 'function' &&
    maker.name === 'Error' &&
    Function.prototype.toString.call(maker).endsWith('{ [native code] }')
  );
}

function isInstance(value: unknown, cls: ErrorClass): boolean {
  return attempt(() => value instanceof cls) === true;
}

/** Wire names of the error's class and its ancestors, most derived first, e.g. `['app:OrderError', 'node:Error']`. */
export function chainOf(err: Error): string[] {
  knowBuiltIns();
  const chain: string[] = [];
  for (let proto = Object.getPrototypeOf(err); proto && proto !== Object.prototype; ) {
    const known = wireNames.get(proto);
    const cls: unknown = Object.getOwnPropertyDescriptor(proto, 'constructor')?.value;
    const wireName = known ?? (typeof cls === 'function' ? `app:${cls.name}` : undefined);
    // A class that only bears a known name is not that class: a user's NotFoundError is not Midway's.
    if (wireName !== undefined && chain.length < MAX_CHAIN && (known !== undefined || !byWireName.has(wireName))) {
      chain.push(wireName);
    }
    proto = Object.getPrototypeOf(proto);
  }
  const decided = [...deciding].filter(([, cls]) => isInstance(err, cls)).map(([wireName]) => wireName);
  if (decided.length > 0) {
    // What its prototypes say goes first, but for what every error is.
    const builtIn = chain.findIndex(each => each.startsWith('node:'));
    chain.splice(builtIn < 0 ? chain.length : builtIn, 0, ...decided);
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

/** What an error gets as prototype that arrives as `cls`: an error in any case, whatever prototype the class has. */
export function prototypeFor(cls: ErrorClass): object {
  if (hasErrorPrototype(cls)) {
    return cls.prototype;
  }
  let made = madePrototypes.get(cls);
  if (!made) {
    made = Object.create(Error.prototype, Object.getOwnPropertyDescriptors(cls.prototype)) as object;
    madePrototypes.set(cls, made);
  }
  return made;
}

function know(wireName: string, cls: ErrorClass): void {
  byWireName.set(wireName, cls);
  wireNames.set(cls.prototype, wireName);
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
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
      if (typeof cls === 'function' && cls.prototype instanceof Error && !wireNames.has(cls.prototype)) {
        know(`midway:${name}`, cls as unknown as ErrorClass);
      }
    }
  }
}
