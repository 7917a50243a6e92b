/** What kinds of objects there are, as far as copying them goes. */
import { types } from 'node:util';

const TypedArray = Object.getPrototypeOf(Uint8Array) as abstract new () => object;
/** Built-ins whose content is out of reach behind a proxy, or in an object that only inherits from them. */
const OPAQUE = [Map, Set, Date, RegExp, ArrayBuffer, TypedArray, DataView, Promise, WeakMap, WeakSet];
/** Built-ins that are copied as what they are, even when somebody has given their prototype a `toJSON`. */
const COPIED = /^(Object|Array|Date|RegExp|Map|Set|Boolean|Number|String|BigInt|ArrayBuffer|DataView|\w+Array)$/;

export function isError(value: unknown): value is Error {
  // Errors of another realm (a vm context, jest's outer one) are not instances of this realm's Error; and there is one
  // DOMException for all realms.
  return value instanceof Error || types.isNativeError(value) || value instanceof DOMException;
}

/** Whether `value` has no other prototype than plain objects have. */
export function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Whether an array has nothing but its elements. Holes may be among them; they are found by reading them. */
export function isPlainArray(value: unknown[]): boolean {
  return (
    Object.getPrototypeOf(value) === Array.prototype &&
    // What regular expressions match, for one, is an array with more than its elements.
    Object.keys(value).length === value.length
  );
}

/** A built-in that structured clone copies as it is, and that holds no other objects. */
export function isLeaf(value: object): boolean {
  return (
    types.isDate(value) ||
    types.isRegExp(value) ||
    types.isArrayBuffer(value) ||
    ArrayBuffer.isView(value) ||
    types.isBoxedPrimitive(value)
  );
}

/** The `toJSON` that an object's class, or the object, has for itself; that of a built-in copied as it is, is none. */
export function toJSONOf(value: object): ((key: string) => unknown) | undefined {
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON !== 'function' || toJSON === Date.prototype.toJSON || toJSON === Buffer.prototype.toJSON) {
    return undefined;
  }
  let holder: object | null = value;
  while (holder && !Object.hasOwn(holder, 'toJSON')) {
    holder = Object.getPrototypeOf(holder) as object | null;
  }
  const maker: unknown = holder && holder !== value ? holder.constructor : undefined;
  const isBuiltIn =
    typeof maker === 'function' &&
    COPIED.test(maker.name) &&
    /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(maker));
  return isBuiltIn ? undefined : (toJSON as (key: string) => unknown);
}

/** Why an object can't be copied, in words that follow "is"; `undefined` if it can. */
export function whyUncopyable(value: object): string | undefined {
  if (types.isPromise(value)) return 'a promise (is an await missing?)';
  if (types.isWeakMap(value) || types.isWeakSet(value)) return 'a weak collection';
  if (types.isSharedArrayBuffer(value)) return 'shared memory';
  if (types.isGeneratorObject(value)) return 'a generator';
  if (types.isSymbolObject(value)) return 'a symbol';
  if (ArrayBuffer.isView(value)) {
    if (types.isSharedArrayBuffer(value.buffer)) return 'shared memory';
    return isDetached(value.buffer) ? 'a view of a detached buffer' : undefined;
  }
  if (types.isArrayBuffer(value)) return isDetached(value) ? 'a detached buffer' : undefined;
  return undefined;
}

/** The same of an object that would be copied by its fields. */
export function whyFieldless(value: object, fields: number): string | undefined {
  const opaque = OPAQUE.find(each => value instanceof each);
  if (opaque) {
    return `${types.isProxy(value) ? 'a proxy of' : 'an object made from'} ${withArticle(opaque.name)}`;
  }
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  // AbortSignal, URLSearchParams, Headers, WeakRef, iterators, ...: all that they hold is hidden.
  return fields === 0 && tag !== 'Object' ? `${withArticle(tag)}, which has no fields that could be copied` : undefined;
}

function withArticle(name: string): string {
  return `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`;
}

function isDetached(buffer: ArrayBufferLike): boolean {
  if (buffer.byteLength > 0) {
    return false;
  }
  try {
    new Uint8Array(buffer);
    return false;
  } catch {
    return true;
  }
}
