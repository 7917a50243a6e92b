/**
 * Plain values as JSON text: trees of plain objects and arrays, strings, booleans, null and numbers that JSON knows.
 * Anything that JSON would not give back exactly is not plain: a hole, an object that occurs twice, `-0`, `__proto__`.
 *
 * Each property is read once, so that what was checked is what is sent, whatever getters and proxies do. No `toJSON`
 * that somebody has given to all objects or arrays has a say.
 */

import { isPlainArray } from './plain-array';

/** Deepest nesting of text. */
const MAX_DEPTH = 32;
/** Most objects of a value that is written by hand: to look through a list of these is faster than a Set. */
const FEW = 16;
/** Longest array that is written by hand, and the same where there seem to be objects in it. */
const SHORT = 64;
const SHORT_OF_OBJECTS = 4;
/**
 * Strings from this length on are counted. JSON looks at each character, structured clone copies: it is faster from
 * about `LONG_TOTAL` characters, and later where there are many objects, which are slower that way.
 * `node benchmark/codec.js` shows where.
 */
const LONG = 512;
const LONG_TOTAL = 2048;
const LONG_PER_OBJECT = 64;
/** A list of so many numbers or strings counts as a long string, too. */
const LIST = 256;
const LIST_ITEM = 8;

const MAX_KEYS = 1000;
const MAX_KEY = 64;
const ESCAPED = 24;

/** Stands for a value that is not plain. */
const NOT_PLAIN = Symbol('not plain');

let many: Set<object> | undefined;
let longTotal = 0;
let isLarge = false;
let busy = false;

/**
 * The JSON text of a plain value; `undefined` when it is none, or when structured clone is faster. `isList`: it is a
 * list of arguments, made by the call, of which only the elements count.
 */
export function toText(value: unknown, isList: boolean): string | undefined {
  if (busy) {
    // A getter that is read right now makes a call itself.
    return undefined;
  }
  busy = true;
  longTotal = 0;
  isLarge = false;
  try {
    const text = isList ? writeList(value as unknown[]) : write(value, 0, []);
    return isLarge ? writeLarge(value, isList) : text;
  } catch {
    // A getter has thrown. Structured clone meets it too, and knows its path.
    return undefined;
  } finally {
    many = undefined;
    busy = false;
  }
}

/** Not noted as seen: the list that is an argument itself is found where it is met in itself. */
function writeList(list: unknown[]): string | undefined {
  return Object.getPrototypeOf(list) === Array.prototype ? writeElements(list, 0, []) : undefined;
}

/**
 * By hand, which is faster than a check and then `JSON.stringify` as long as the value is small. `seen` has the objects
 * that were met: a list that is as young as they are, because what is old and points to what is young costs the garbage
 * collector an entry each.
 */
function write(value: unknown, depth: number, seen: object[]): string | undefined {
  switch (typeof value) {
    case 'string':
      return value.length < LONG ? quote(value) : writeLong(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'number':
      return isPlainNumber(value) ? `${value}` : undefined;
    case 'object':
      break;
    default:
      return undefined;
  }
  if (value === null) {
    return 'null';
  }
  if (depth >= MAX_DEPTH) {
    return undefined;
  }
  const before = seen.length;
  if (before === FEW) {
    isLarge = true;
    return undefined;
  }
  for (let i = 0; i < before; i++) {
    if (seen[i] === value) {
      return undefined;
    }
  }
  seen.push(value);
  if (!Array.isArray(value)) {
    return writeObject(value as Record<string, unknown>, depth, seen);
  }
  return isPlainArray(value) ? writeElements(value, depth, seen) : undefined;
}

function writeLong(value: string): string | undefined {
  longTotal += value.length;
  isLarge = longTotal > LONG_TOTAL;
  return isLarge ? undefined : JSON.stringify(value);
}

function writeElements(value: unknown[], depth: number, seen: object[]): string | undefined {
  const { length } = value;
  if (length > SHORT || (length > SHORT_OF_OBJECTS && typeof value[0] === 'object')) {
    isLarge = true;
    return undefined;
  }
  if (length === 0) {
    return '[]';
  }
  let text = '[';
  for (let i = 0; i < length; i++) {
    const each = write(value[i], depth + 1, seen);
    if (each === undefined) {
      return undefined;
    }
    text += i === 0 ? each : `,${each}`;
  }
  return `${text}]`;
}

function writeObject(value: Record<string, unknown>, depth: number, seen: object[]): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return undefined;
  }
  const keys = Object.keys(value);
  if (keys.length === 0) {
    return '{}';
  }
  let text = '';
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    const each = key !== '__proto__' ? write(value[key], depth + 1, seen) : undefined;
    if (each === undefined) {
      return undefined;
    }
    text += i === 0 ? firstKeys.get(key) : otherKeys.get(key);
    text += each;
  }
  return `${text}}`;
}

/** `JSON.stringify` of a copy: the copy has no getters. */
function writeLarge(value: unknown, isList: boolean): string | undefined {
  if ('toJSON' in Object.prototype || 'toJSON' in Array.prototype) {
    return undefined;
  }
  many = new Set();
  longTotal = 0;
  const copy = isList ? copyElements(value as unknown[], 0) : copyPlain(value, 0);
  return copy === NOT_PLAIN || longTotal > LONG_TOTAL + LONG_PER_OBJECT * many.size ? undefined : JSON.stringify(copy);
}

function copyPlain(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      longTotal += value.length >= LONG ? value.length : 0;
      return value;
    case 'boolean':
      return value;
    case 'number':
      return isPlainNumber(value) ? value : NOT_PLAIN;
    case 'object':
      break;
    default:
      return NOT_PLAIN;
  }
  if (value === null) {
    return value;
  }
  const seen = many as Set<object>;
  const before = seen.size;
  if (depth >= MAX_DEPTH || seen.add(value).size === before) {
    return NOT_PLAIN;
  }
  if (Array.isArray(value)) {
    return isPlainArray(value) ? copyElements(value, depth) : NOT_PLAIN;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return NOT_PLAIN;
  }
  const copy: Record<string, unknown> = { ...value };
  const keys = Object.keys(copy);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    const each = key !== '__proto__' ? copyPlain(copy[key], depth + 1) : NOT_PLAIN;
    if (each === NOT_PLAIN) {
      return NOT_PLAIN;
    }
    if (typeof each === 'object') {
      copy[key] = each;
    }
  }
  return copy;
}

function copyElements(value: unknown[], depth: number): unknown {
  const copy: unknown[] = value.slice();
  if (copy.length > LIST && typeof copy[0] !== 'object') {
    longTotal += copy.length * LIST_ITEM;
  }
  for (let i = 0; i < copy.length; i++) {
    const each = copyPlain(copy[i], depth + 1);
    if (each === NOT_PLAIN) {
      return NOT_PLAIN;
    }
    if (typeof each === 'object') {
      copy[i] = each;
    }
  }
  return copy;
}

function isPlainNumber(value: number): boolean {
  return value - value === 0 && (value !== 0 || 1 / value > 0);
}

function quote(text: string): string {
  if (text.length > ESCAPED) {
    return JSON.stringify(text);
  }
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 32 || unit === 34 || unit === 92 || (unit >= 0xd800 && unit <= 0xdfff)) {
      return JSON.stringify(text);
    }
  }
  return `"${text}"`;
}

/** Keys come again and again: each as JSON, with what stands around it. */
class Keys {
  readonly #known = new Map<string, string>();

  constructor(private readonly before: string) {}

  get(key: string): string {
    let quoted = this.#known.get(key);
    if (quoted === undefined) {
      quoted = `${this.before}${JSON.stringify(key)}:`;
      if (this.#known.size < MAX_KEYS && key.length <= MAX_KEY) {
        this.#known.set(key, quoted);
      }
    }
    return quoted;
  }
}

const firstKeys = new Keys('{');
const otherKeys = new Keys(',');
