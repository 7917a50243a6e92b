/**
 * How values travel. Small plain values go as JSON, which is the fastest for them; everything else goes through the
 * structured clone algorithm (`v8.serialize`), so that undefined, Date, Map, Set, RegExp, BigInt, typed arrays,
 * Buffers and cycles arrive as what they were.
 *
 * Values are encoded when the call is made, not when its batch is sent: what the caller does to them afterwards
 * changes nothing.
 */
import { types } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { ProcessAgentError } from './errors';

/** Deepest nesting that is looked at for JSON; beyond it structured clone decides. */
const MAX_JSON_DEPTH = 32;

/** An encoded value: JSON text, or structured-clone bytes. */
export type Encoded = string | Buffer;

/** Encodes `value`; `what` names it in errors (`args`, `result`). Throws `ERR_AGENT_NOT_SERIALIZABLE`. */
export function encode(value: unknown, what: string): Encoded {
  return isPlain(value, 0) ? JSON.stringify(value) : serialize(copyOf(value, what, new Map()));
}

/** The value that was encoded. */
export function decode(encoded: Encoded): unknown {
  return typeof encoded === 'string' ? JSON.parse(encoded) : deserialize(encoded);
}

/** How many bytes an encoded value takes at the most; exact when that is over `limit`. */
export function sizeOf(encoded: Encoded, limit: number): number {
  if (typeof encoded !== 'string') {
    return encoded.length;
  }
  // A UTF-16 unit takes three bytes of UTF-8 at the most.
  const most = encoded.length * 3;
  return most <= limit ? most : Buffer.byteLength(encoded);
}

/** Whether JSON gives `value` back exactly. */
function isPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0);
    case 'object':
      break;
    default:
      return false;
  }
  if (value === null) {
    return true;
  }
  if (depth >= MAX_JSON_DEPTH) {
    return false;
  }
  if (Array.isArray(value)) {
    return isPlainArray(value, depth);
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    return false;
  }
  const keys = Object.keys(value);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    // `__proto__` as an own key and `toJSON` mean something to JSON.
    if (key === '__proto__' || key === 'toJSON' || !isPlain((value as Record<string, unknown>)[key], depth + 1)) {
      return false;
    }
  }
  return !('toJSON' in value);
}

function isPlainArray(value: unknown[], depth: number): boolean {
  if (Object.getPrototypeOf(value) !== Array.prototype || 'toJSON' in value) {
    return false;
  }
  for (let i = 0; i < value.length; i++) {
    // A hole reads as undefined, which is not plain either.
    if (!isPlain(value[i], depth + 1)) {
      return false;
    }
  }
  return true;
}

/**
 * A copy that structured clone takes: objects that are no built-ins become what their `toJSON()` gives, else their
 * own enumerable fields. Refuses what can't be copied, naming its path. Shared references and cycles are kept.
 */
function copyOf(value: unknown, path: string, copies: Map<object, unknown>): unknown {
  if (typeof value === 'function' || typeof value === 'symbol') {
    throw refuse(path, typeof value);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  const known = copies.get(value);
  if (known !== undefined) {
    return known;
  }
  if (isNative(value)) {
    return value;
  }
  if (Array.isArray(value)) {
    const copy = new Array<unknown>(value.length);
    copies.set(value, copy);
    // Keys, not indices: holes stay holes.
    for (const key of Object.keys(value)) {
      copy[key as unknown as number] = copyOf(value[key as unknown as number], `${path}[${key}]`, copies);
    }
    return copy;
  }
  if (types.isMap(value)) {
    const copy = new Map<unknown, unknown>();
    copies.set(value, copy);
    let index = 0;
    for (const [key, each] of value) {
      copy.set(copyOf(key, `${path}.keys[${index}]`, copies), copyOf(each, `${path}.values[${index}]`, copies));
      index++;
    }
    return copy;
  }
  if (types.isSet(value)) {
    const copy = new Set<unknown>();
    copies.set(value, copy);
    let index = 0;
    for (const each of value) {
      copy.add(copyOf(each, `${path}.values[${index++}]`, copies));
    }
    return copy;
  }
  const uncopyable = uncopyableName(value);
  if (uncopyable) {
    throw refuse(path, uncopyable);
  }
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === 'function') {
    const json: unknown = toJSON.call(value, '');
    if (json !== value) {
      const copy = copyOf(json, path, copies);
      copies.set(value, copy);
      return copy;
    }
  }
  const copy: Record<string, unknown> = {};
  copies.set(value, copy);
  for (const key of Object.keys(value)) {
    const each = copyOf((value as Record<string, unknown>)[key], `${path}.${key}`, copies);
    Object.defineProperty(copy, key, { value: each, enumerable: true, writable: true, configurable: true });
  }
  return copy;
}

/** Built-ins that structured clone copies as they are, and that hold no other objects. */
function isNative(value: object): boolean {
  return (
    types.isDate(value) ||
    types.isRegExp(value) ||
    types.isArrayBuffer(value) ||
    (ArrayBuffer.isView(value) && !types.isSharedArrayBuffer(value.buffer)) ||
    types.isBoxedPrimitive(value) ||
    types.isNativeError(value)
  );
}

function uncopyableName(value: object): string | undefined {
  if (types.isPromise(value)) return 'a promise (is an await missing?)';
  if (types.isWeakMap(value) || types.isWeakSet(value)) return 'a weak collection';
  if (types.isSharedArrayBuffer(value) || ArrayBuffer.isView(value)) return 'shared memory';
  if (types.isGeneratorObject(value)) return 'a generator';
  return undefined;
}

function refuse(path: string, what: string): ProcessAgentError {
  const article = what === 'function' || what === 'symbol' ? `a ${what}` : what;
  return new ProcessAgentError(
    'ERR_AGENT_NOT_SERIALIZABLE',
    `${path} is ${article}, which can't be sent to another process.`,
    { outcome: 'not-sent' },
  );
}
