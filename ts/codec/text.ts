/**
 * Plain values as JSON text: trees of plain objects and arrays, strings, booleans, null and numbers that JSON knows.
 * Anything that JSON would not give back exactly is not plain: a hole, an object that occurs twice, `-0`, `__proto__`.
 *
 * Each property is read once, so that what was checked is what is sent, whatever getters and proxies do. No `toJSON`
 * that somebody has given to all objects or arrays has a say.
 */

import { isPlainArray, isPlainObject } from './kinds';

/** Deepest nesting of text. */
const MAX_DEPTH = 32;
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

/** Stands for a value that is not plain. */
const NOT_PLAIN = Symbol('not plain');

let seen = new Set<object>();
let longTotal = 0;
let busy = false;

/**
 * The JSON text of a plain value; `undefined` when it is none, or when structured clone is faster. `isList`: it is a
 * list of arguments, made by the call, of which only the elements count.
 */
export function toText(value: unknown, isList: boolean): string | undefined {
  if (busy || 'toJSON' in Object.prototype || 'toJSON' in Array.prototype) {
    // A getter that is read right now makes a call itself, or what others have added would have a say.
    return undefined;
  }
  busy = true;
  longTotal = 0;
  try {
    // The copy has no getters.
    const copy = isList ? copyList(value as unknown[]) : copyPlain(value, 0);
    const isLong = longTotal > LONG_TOTAL + LONG_PER_OBJECT * seen.size;
    return copy === NOT_PLAIN || isLong ? undefined : JSON.stringify(copy);
  } catch {
    // A getter has thrown. Structured clone meets it too, and knows its path.
    return undefined;
  } finally {
    seen = new Set();
    busy = false;
  }
}

/** Not noted as seen: the list that is an argument itself is found where it is met in itself. */
function copyList(list: unknown[]): unknown {
  return Object.getPrototypeOf(list) === Array.prototype ? copyElements(list, 0) : NOT_PLAIN;
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
  const before = seen.size;
  if (depth >= MAX_DEPTH || seen.add(value).size === before) {
    return NOT_PLAIN;
  }
  if (Array.isArray(value)) {
    return isPlainArray(value) ? copyElements(value, depth) : NOT_PLAIN;
  }
  if (!isPlainObject(value)) {
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
