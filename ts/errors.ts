/**
 * The agent's own error, and the form in which any error travels between members: it arrives as the class that was
 * thrown when the receiving process knows it, else as the nearest ancestor that it knows, and no user's constructor
 * is run to make it.
 */
import { types } from 'node:util';
import type { MemberOutcome } from './interface';

export type AgentErrorCode =
  | 'ERR_AGENT_CONFIG'
  | 'ERR_AGENT_DECORATOR'
  | 'ERR_AGENT_NOT_STARTED'
  | 'ERR_AGENT_CLOSED'
  | 'ERR_AGENT_NO_PRIMARY'
  | 'ERR_AGENT_PRIMARY_LOST'
  | 'ERR_AGENT_PRIMARY_FROZEN'
  | 'ERR_AGENT_MEMBER_LOST'
  | 'ERR_AGENT_PARTIAL'
  | 'ERR_AGENT_ABORTED'
  | 'ERR_AGENT_TIMEOUT'
  | 'ERR_AGENT_UNKNOWN_METHOD'
  | 'ERR_AGENT_AMBIGUOUS'
  | 'ERR_AGENT_NOT_SERIALIZABLE'
  | 'ERR_AGENT_TOO_LARGE'
  | 'ERR_AGENT_TOO_MANY_PENDING'
  | 'ERR_AGENT_BINDING'
  | 'ERR_AGENT_RUNTIME_DIR'
  | 'ERR_AGENT_REFUSED'
  | 'ERR_AGENT_INTERNAL';

/**
 * What is known about the call that failed: `not-sent` (it did not run), `unknown` (sent, no reply: it may have run)
 * or `executed` (it ran; its result could not be delivered).
 */
export type CallOutcome = 'not-sent' | 'unknown' | 'executed';

/** A failure of the agent itself, as opposed to an error thrown by the method that was called. */
export class ProcessAgentError extends Error {
  readonly code: AgentErrorCode;
  declare readonly outcome?: CallOutcome;
  /** Of `ERR_AGENT_PARTIAL`: what each member made of it. */
  declare readonly outcomes?: MemberOutcome[];

  constructor(
    code: AgentErrorCode,
    message: string,
    options?: { outcome?: CallOutcome; outcomes?: MemberOutcome[]; cause?: unknown },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options?.outcome !== undefined) {
      this.outcome = options.outcome;
    }
    if (options?.outcomes !== undefined) {
      this.outcomes = options.outcomes;
    }
  }
}
Object.defineProperty(ProcessAgentError.prototype, 'name', {
  value: 'ProcessAgentError',
  writable: true,
  configurable: true,
});

// Abstract, so that classes with any constructor fit; it is never run.
type ErrorClass = abstract new (...args: never[]) => Error;

/** An error as plain data: any codec that carries structured-clone values can carry it. */
export interface PlainException {
  /** Wire names of the class and its ancestors, most derived first, e.g. `['app:OrderError', 'node:Error']`. */
  chain: string[];
  name: string;
  message: string;
  stack?: string;
  /** `code` and `status` where they are not own enumerable fields. */
  hidden?: Record<string, unknown>;
  cause?: PlainError;
  /** The errors of an AggregateError. */
  errors?: PlainError[];
  fields?: Record<string, unknown>;
}

/** What was thrown: an error, or any other value as it is. */
export type PlainError = PlainException | { thrown: unknown };

/** Most errors of one chain that travel; the rest is cut off. It bounds cycles and wide AggregateErrors. */
const MAX_ERRORS = 64;
/** Deepest nesting of causes, and of objects in an error's fields. */
const MAX_DEPTH = 8;
/** Marks an error inside the fields of another one. */
const NESTED = '$processAgentError';
const HANDLED = new Set(['name', 'message', 'stack', 'cause']);

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

/** `err` as plain data. Never throws, whatever getters it has. */
export function encodeError(err: unknown): PlainError {
  knowBuiltins();
  return encode(err, { left: MAX_ERRORS }, 0);
}

/**
 * The error that `plain` describes. `calledFrom` is a stack of this process, which is shown below the remote one.
 */
export function decodeError(plain: PlainError, calledFrom?: string): unknown {
  knowBuiltins();
  const decoded = decode(plain);
  if (isError(decoded)) {
    define(decoded, 'stack', joinStacks(read(decoded, 'stack'), calledFrom), false);
  }
  return decoded;
}

function know(wireName: string, cls: ErrorClass): void {
  byWireName.set(wireName, cls);
  wireNames.set(cls, wireName);
}

/** Built-ins and Midway's classes; not at load, because an application that never fails should not pay for it. */
function knowBuiltins(): void {
  if (knowsCore) {
    return;
  }
  knowsCore = true;
  const natives = [Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError];
  for (const cls of natives) {
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

function isError(value: unknown): value is Error {
  // Errors of another realm (a vm context, jest's outer one) are not instances of this realm's Error.
  return value instanceof Error || types.isNativeError(value);
}

function encode(err: unknown, budget: { left: number }, depth: number): PlainError {
  if (!isError(err)) {
    return { thrown: plainValue(err, budget, new Map(), depth) };
  }
  budget.left--;
  const plain: PlainException = {
    chain: chainOf(err),
    name: String(read(err, 'name') ?? 'Error'),
    message: String(read(err, 'message') ?? ''),
  };
  const stack = read(err, 'stack');
  if (typeof stack === 'string') {
    plain.stack = stack;
  }
  const fields: Record<string, unknown> = {};
  const copies = new Map<object, unknown>();
  for (const key of Object.keys(err)) {
    if (!HANDLED.has(key)) {
      fields[key] = plainValue(read(err, key), budget, copies, depth + 1);
    }
  }
  for (const key of ['code', 'status']) {
    const value = read(err, key);
    if (!Object.hasOwn(fields, key) && value !== undefined) {
      plain.hidden ??= {};
      plain.hidden[key] = plainValue(value, budget, copies, depth + 1);
    }
  }
  const bounded = depth < MAX_DEPTH && budget.left > 0;
  const cause = read(err, 'cause');
  if (bounded && cause !== undefined) {
    plain.cause = encode(cause, budget, depth + 1);
  }
  const errors = read(err, 'errors');
  if (bounded && Array.isArray(errors) && !Object.hasOwn(fields, 'errors')) {
    plain.errors = errors.slice(0, budget.left).map(each => encode(each, budget, depth + 1));
  }
  if (Object.keys(fields).length > 0) {
    plain.fields = fields;
  }
  return plain;
}

function chainOf(err: Error): string[] {
  const chain: string[] = [];
  for (let proto = Object.getPrototypeOf(err); proto && proto !== Object.prototype; ) {
    const cls: unknown = Object.hasOwn(proto, 'constructor') ? read(proto, 'constructor') : undefined;
    if (typeof cls === 'function' && chain.length < 32) {
      // A class that only bears a known name is not that class: a user's NotFoundError is not Midway's.
      const wireName = wireNames.get(cls) ?? `app:${cls.name}`;
      if (wireNames.has(cls) || !byWireName.has(wireName)) {
        chain.push(wireName);
      }
    }
    proto = Object.getPrototypeOf(proto);
  }
  if (!chain.some(wireName => byWireName.has(wireName)) && types.isNativeError(err)) {
    chain.push(byWireName.has(`node:${err.name}`) ? `node:${err.name}` : 'node:Error');
  }
  return chain;
}

/** A copy without anything that can't travel: an error must arrive, even when one of its fields is a socket. */
function plainValue(value: unknown, budget: { left: number }, copies: Map<object, unknown>, depth: number): unknown {
  if (typeof value === 'function' || typeof value === 'symbol') {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  if (isError(value)) {
    return budget.left > 0 && depth <= MAX_DEPTH ? { [NESTED]: encode(value, budget, depth + 1) } : String(value);
  }
  if (types.isDate(value) || types.isRegExp(value) || types.isAnyArrayBuffer(value) || ArrayBuffer.isView(value)) {
    return value;
  }
  const seen = copies.get(value);
  if (seen !== undefined) {
    return seen;
  }
  if (depth > MAX_DEPTH) {
    return undefined;
  }
  const inner = (each: unknown) => plainValue(each, budget, copies, depth + 1);
  if (Array.isArray(value)) {
    const copy: unknown[] = [];
    copies.set(value, copy);
    for (const each of value) {
      copy.push(inner(each));
    }
    return copy;
  }
  if (types.isMap(value)) {
    return new Map([...value].map(([key, each]) => [inner(key), inner(each)]));
  }
  if (types.isSet(value)) {
    return new Set([...value].map(inner));
  }
  const toJSON = read(value, 'toJSON');
  if (typeof toJSON === 'function') {
    try {
      const json: unknown = toJSON.call(value);
      return json === value ? undefined : inner(json);
    } catch {
      return undefined;
    }
  }
  const copy: Record<string, unknown> = {};
  copies.set(value, copy);
  for (const key of Object.keys(value)) {
    const each = inner(read(value, key));
    if (each !== undefined) {
      define(copy, key, each, true);
    }
  }
  return copy;
}

function decode(plain: PlainError): unknown {
  if (!('chain' in plain)) {
    return revive(plain.thrown, new Set());
  }
  const wireName = plain.chain.find(each => byWireName.has(each)) ?? 'node:Error';
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  // A native error under a foreign prototype: no constructor of the user's runs, and yet it prints, clones and
  // compares as an error does.
  const err = new Error(plain.message);
  Error.stackTraceLimit = limit;
  Object.setPrototypeOf(err, byWireName.get(wireName)?.prototype ?? Error.prototype);
  const hidden: Record<string, unknown> = { name: plain.name, ...plain.hidden };
  if (plain.cause) {
    hidden.cause = decode(plain.cause);
  }
  if (plain.errors) {
    hidden.errors = plain.errors.map(decode);
  }
  for (const [key, value] of Object.entries(hidden)) {
    if (read(err, key) !== value) {
      define(err, key, value, false);
    }
  }
  const seen = new Set<object>();
  for (const [key, value] of Object.entries(plain.fields ?? {})) {
    define(err, key, revive(value, seen), true);
  }
  define(err, 'stack', plain.stack ?? `${plain.name}: ${plain.message}`, false);
  return err;
}

/** Turns marked errors inside `value` back into errors, in place: it is our own copy. */
function revive(value: unknown, seen: Set<object>): unknown {
  if (typeof value !== 'object' || value === null || seen.has(value)) {
    return value;
  }
  const nested = (value as Record<string, unknown>)[NESTED];
  if (typeof nested === 'object' && nested !== null) {
    return decode(nested as PlainError);
  }
  seen.add(value);
  // A prototype without a prototype is Object.prototype, of whichever realm.
  const prototype = Object.getPrototypeOf(value);
  if (Array.isArray(value) || prototype === null || Object.getPrototypeOf(prototype) === null) {
    for (const [key, each] of Object.entries(value)) {
      const revived = revive(each, seen);
      if (revived !== each) {
        define(value, key, revived, true);
      }
    }
  }
  return value;
}

function joinStacks(remote: unknown, calledFrom: string | undefined): string {
  const frames = calledFrom?.slice(Math.max(0, calledFrom.search(/^ {4}at /m)));
  return `${String(remote)}\n    --- called from pid ${process.pid} ---${frames ? `\n${frames}` : ''}`;
}

function read(from: object, key: string): unknown {
  try {
    return (from as Record<string, unknown>)[key];
  } catch {
    return undefined;
  }
}

function define(on: object, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(on, key, { value, enumerable, writable: true, configurable: true });
}
