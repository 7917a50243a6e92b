/**
 * Errors as data: a head, from which the object is made, and a row, with which it is filled. Where an error stood in a
 * value, or in another error, there is a mark with the number of its row: so cycles and shared errors stay what they
 * are, and chains of any length are no nesting.
 *
 * Unlike a value, an error must arrive even when one of its fields is a socket: what can't travel is left out, and
 * nothing that getters and proxies do gets out of here. Objects in fields are cut off below some depth and number.
 */
import { types } from 'node:util';
import { ProcessAgentError } from '../agentError';
import { chainOf, nearestClass, prototypeFor } from './errorClasses';
import { isError, isLeaf, isPlainObject, toJSONOf, whyFieldless, whyUncopyable } from './kinds';

export interface ErrorHead {
  /** Wire names of the class and its ancestors. */
  chain: string[];
  name: string;
  message: string;
}

export interface ErrorRow {
  stack?: string;
  /** Own fields: all that are enumerable but those below. */
  fields?: Record<string, unknown>;
  /**
   * Own data properties that are not enumerable, but those below; `code` and `status` that are no own fields; `name` and
   * `message` that are no strings.
   */
  hidden?: Record<string, unknown>;
  cause?: unknown;
  /** The errors of an AggregateError. */
  errors?: unknown[];
  /** Which of `name`, `message`, `stack` and `cause` are enumerable. */
  shown?: string[];
}

/** Most errors below those that a value holds; the rest become texts. It bounds getters that give a new one each time. */
const MAX_ERRORS = 1000;
/** Deepest nesting of objects in an error's fields, and their number in all of its errors. */
const MAX_DEPTH = 8;
const MAX_OBJECTS = 10_000;
const HANDLED = new Set(['name', 'message', 'stack', 'cause']);

/** What can't travel. */
export const LEFT_OUT = Symbol('left out');

export class ErrorRows {
  readonly heads: ErrorHead[] = [];
  readonly rows: ErrorRow[] = [];
  readonly #found: Error[] = [];
  readonly #numbers = new Map<Error, number>();
  #limit = Number.POSITIVE_INFINITY;
  #objects = MAX_OBJECTS;

  /**
   * `mark` makes what stands for the error of a row; `copies` are the objects that are copied already; `copied` gets each
   * copy of an object or array when all that it holds is in it.
   */
  constructor(
    private readonly mark: (row: number) => unknown,
    private readonly copies: Map<object, unknown> = new Map(),
    private readonly copied: (copy: object) => void = () => {},
  ) {}

  /** The mark for `error`. */
  note(error: Error): unknown {
    let row = this.#numbers.get(error);
    if (row === undefined) {
      if (this.#found.length >= this.#limit) {
        return `${text(read(error, 'name'))}: ${text(read(error, 'message'))}`;
      }
      row = this.#found.push(error) - 1;
      this.#numbers.set(error, row);
    }
    return this.mark(row);
  }

  /** Describes the errors that were noted, and those found in them. */
  finish(): void {
    this.#limit = this.#found.length + MAX_ERRORS;
    for (let i = this.rows.length; i < this.#found.length; i++) {
      this.#describe(this.#found[i]);
    }
  }

  /** A copy without anything that can't travel. Never throws. */
  copy(value: unknown, depth = 0): unknown {
    try {
      return this.#copy(value, depth);
    } catch {
      // A proxy's doing: everything else is read with care.
      return LEFT_OUT;
    }
  }

  #describe(error: Error): void {
    const head: ErrorHead = { chain: attempt(() => chainOf(error)) ?? ['node:Error'], name: 'Error', message: '' };
    const row: ErrorRow = {};
    this.heads.push(head);
    this.rows.push(row);
    const hidden: Record<string, unknown> = {};
    for (const key of ['name', 'message'] as const) {
      const value = read(error, key);
      head[key] = value === undefined ? head[key] : text(value);
      if (value !== undefined && typeof value !== 'string') {
        this.#put(hidden, key, value);
      }
    }
    const stack = read(error, 'stack');
    if (typeof stack === 'string') {
      row.stack = stack;
    }
    const keys = keysOf(error);
    const fields: Record<string, unknown> = {};
    for (const key of keys.filter(each => !HANDLED.has(each))) {
      this.#put(fields, key, read(error, key));
    }
    const cause = read(error, 'cause');
    if (cause !== undefined) {
      this.#put(row, 'cause', cause);
    }
    const errors = read(error, 'errors');
    if (Array.isArray(errors) && !keys.includes('errors')) {
      this.#put(row, 'errors', errors);
    }
    for (const [key, value] of hiddenFieldsOf(error)) {
      if (!HANDLED.has(key) && !(key === 'errors' && Array.isArray(value))) {
        this.#put(hidden, key, value);
      }
    }
    // Of a getter, or of the class.
    for (const key of ['code', 'status']) {
      const value = read(error, key);
      if (!keys.includes(key) && !Object.hasOwn(hidden, key) && value !== undefined) {
        this.#put(hidden, key, value);
      }
    }
    const shown = keys.filter(each => HANDLED.has(each));
    Object.assign(
      row,
      keysOf(fields).length > 0 && { fields },
      keysOf(hidden).length > 0 && { hidden },
      shown.length > 0 && { shown },
    );
  }

  #put(on: object, key: string, value: unknown): void {
    const copy = this.copy(value);
    if (copy !== LEFT_OUT) {
      define(on, key, copy, true);
    }
  }

  #copy(value: unknown, depth: number): unknown {
    if (typeof value === 'function' || typeof value === 'symbol') {
      return LEFT_OUT;
    }
    if (typeof value !== 'object' || value === null) {
      return value;
    }
    if (isError(value)) {
      return this.note(value);
    }
    const known = this.copies.get(value);
    if (known !== undefined) {
      return known;
    }
    if (depth > MAX_DEPTH || this.#objects-- <= 0 || whyUncopyable(value)) {
      return LEFT_OUT;
    }
    const toJSON = attempt(() => toJSONOf(value));
    if (toJSON) {
      const json = attempt(() => toJSON.call(value, ''));
      if (json !== value) {
        return json === undefined ? LEFT_OUT : this.copy(json, depth + 1);
      }
    }
    if (isLeaf(value)) {
      return value;
    }
    if (Array.isArray(value)) {
      return this.#copyFields(value, new Array(value.length), depth);
    }
    if (types.isMap(value) || types.isSet(value)) {
      return this.#copyCollection(value, depth);
    }
    if (!isPlainObject(value) && whyFieldless(value, keysOf(value).length)) {
      return LEFT_OUT;
    }
    return this.#copyFields(value, {}, depth);
  }

  #copyFields(value: object, copy: object, depth: number): object {
    this.copies.set(value, copy);
    for (const key of keysOf(value)) {
      const each = this.copy(read(value, key), depth + 1);
      if (each !== LEFT_OUT) {
        define(copy, key, each, true);
      }
    }
    this.copied(copy);
    return copy;
  }

  #copyCollection(value: Map<unknown, unknown> | Set<unknown>, depth: number): object {
    const copy = types.isMap(value) ? new Map<unknown, unknown>() : new Set<unknown>();
    this.copies.set(value, copy);
    const entries = types.isMap(value) ? Map.prototype.entries.call(value) : Set.prototype.entries.call(value);
    for (const entry of entries) {
      const [key, each] = entry.map(part => this.copy(part, depth + 1));
      if (key !== LEFT_OUT && each !== LEFT_OUT) {
        copy instanceof Map ? copy.set(key, each) : copy.add(key);
      }
    }
    return copy;
  }
}

/** The errors of these heads, to be filled once everything that may refer to them is there. */
export function makeErrors(heads: unknown): {
  all: Error[];
  fill(rows: unknown, revive: (value: unknown) => unknown): void;
} {
  const known = check(heads) as ErrorHead[];
  const all = known.map(makeError);
  return {
    all,
    fill: (rows, revive) => {
      const each = check(rows) as ErrorRow[];
      all.forEach((error, i) => {
        fillError(error, known[i], Object(each[i]) as ErrorRow, revive);
      });
    },
  };
}

function makeError(head: ErrorHead): Error {
  const { chain, name, message } = Object(head) as ErrorHead;
  if (
    !check(chain).every(each => typeof each === 'string') ||
    typeof name !== 'string' ||
    typeof message !== 'string'
  ) {
    throw malformed();
  }
  const cls = nearestClass(chain);
  const prototype = prototypeFor(cls);
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    if (cls === DOMException) {
      // Its name and code are getters that no other object has.
      return new DOMException(message, name);
    }
    // A native error under a foreign prototype: no constructor of the user's runs, and yet it prints, clones and
    // compares as an error does.
    return Object.setPrototypeOf(new Error(message || undefined), prototype) as Error;
  } finally {
    Error.stackTraceLimit = limit;
  }
}

function fillError(error: Error, head: ErrorHead, row: ErrorRow, revive: (value: unknown) => unknown): void {
  const shown = Array.isArray(row.shown) ? row.shown : [];
  const own: Record<string, unknown> = { name: head.name, message: head.message };
  for (const [key, value] of Object.entries(Object(row.hidden))) {
    define(own, key, revive(value), true);
  }
  if (row.cause !== undefined || shown.includes('cause')) {
    own.cause = revive(row.cause);
  }
  if (Array.isArray(row.errors)) {
    own.errors = row.errors.map(revive);
  }
  for (const [key, value] of Object.entries(own)) {
    if (shown.includes(key) || read(error, key) !== value) {
      define(error, key, value, shown.includes(key));
    }
  }
  for (const [key, value] of Object.entries(Object(row.fields))) {
    define(error, key, revive(value), true);
  }
  const stack = typeof row.stack === 'string' ? row.stack : `${head.name}: ${head.message}`;
  define(error, 'stack', stack, shown.includes('stack'));
}

export function malformed(): ProcessAgentError {
  return new ProcessAgentError('ERR_AGENT_INTERNAL', 'An error from another process is malformed.');
}

function check(list: unknown): unknown[] {
  if (!Array.isArray(list)) {
    throw malformed();
  }
  return list;
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}

function read(from: object, key: string): unknown {
  return attempt(() => (from as Record<string, unknown>)[key]);
}

function keysOf(value: object): string[] {
  return attempt(() => Object.keys(value)) ?? [];
}

/** The own data properties of `value` that are not enumerable. No accessor is run. */
function hiddenFieldsOf(value: object): [string, unknown][] {
  const fields: [string, unknown][] = [];
  for (const key of attempt(() => Object.getOwnPropertyNames(value)) ?? []) {
    const property = attempt(() => Object.getOwnPropertyDescriptor(value, key));
    if (property && 'value' in property && !property.enumerable) {
      fields.push([key, property.value]);
    }
  }
  return fields;
}

function text(value: unknown): string {
  return attempt(() => String(value)) ?? '';
}

function define(on: object, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(on, key, { value, enumerable, writable: true, configurable: true });
}
