// Whether two values are the same in everything that a program can see of them, but for stacks: kinds, prototypes,
// holes, `-0`, which properties are enumerable, which references are shared. Plain JavaScript, because processes
// without a compiler use it too.
const { types } = require('node:util');

/** Where and how `actual` differs from `expected` first; undefined if it doesn't. */
function difference(actual, expected, path = 'value', pairs = { there: new Map(), back: new Map() }) {
  if (Object(actual) !== actual || Object(expected) !== expected) {
    return Object.is(actual, expected) ? undefined : `${path}: ${print(actual)}, not ${print(expected)}`;
  }
  if (pairs.there.has(actual) || pairs.back.has(expected)) {
    const same = pairs.there.get(actual) === expected && pairs.back.get(expected) === actual;
    return same ? undefined : `${path}: another reference`;
  }
  pairs.there.set(actual, expected);
  pairs.back.set(expected, actual);
  if (kindOf(actual) !== kindOf(expected)) {
    return `${path}: ${kindOf(actual)}, not ${kindOf(expected)}`;
  }
  if (!samePrototype(Object.getPrototypeOf(actual), Object.getPrototypeOf(expected))) {
    return `${path}: another prototype`;
  }
  return differenceInside(actual, expected, path, pairs) ?? differenceOfKeys(actual, expected, path, pairs);
}

/** What no key shows. */
function differenceInside(actual, expected, path, pairs) {
  const inner = (a, b, name) => difference(a, b, `${path}.${name}`, pairs);
  if (types.isDate(actual)) {
    return inner(actual.getTime(), expected.getTime(), 'getTime()');
  }
  if (types.isRegExp(actual)) {
    return inner(String(actual), String(expected), 'toString()');
  }
  if (types.isBoxedPrimitive(actual)) {
    return inner(actual.valueOf(), expected.valueOf(), 'valueOf()');
  }
  if (types.isArrayBuffer(actual) || ArrayBuffer.isView(actual)) {
    return Buffer.compare(bytesOf(actual), bytesOf(expected)) === 0 ? undefined : `${path}: other bytes`;
  }
  if (types.isMap(actual) || types.isSet(actual)) {
    // An array of our own on each side: as such no shared reference.
    const [entries, others] = [[...actual.entries()].flat(), [...expected.entries()].flat()];
    let found = inner(actual.size, expected.size, 'size');
    for (let i = 0; found === undefined && i < entries.length; i++) {
      found = inner(entries[i], others[i], `entry ${i}`);
    }
    return found;
  }
  return undefined;
}

function differenceOfKeys(actual, expected, path, pairs) {
  if (ArrayBuffer.isView(actual)) {
    return undefined;
  }
  const [keys, others] = [keysOf(actual), keysOf(expected)];
  if (keys.join() !== others.join()) {
    return `${path}: keys ${keys.slice(0, 20)}, not ${others.slice(0, 20)}`;
  }
  for (const key of keys) {
    const [a, b] = [actual, expected].map(each => Object.getOwnPropertyDescriptor(each, key));
    if (a.enumerable !== b.enumerable) {
      return `${path}.${key}: enumerable ${a.enumerable}`;
    }
    const found = difference(actual[key], expected[key], `${path}.${key}`, pairs);
    if (found) {
      return found;
    }
  }
  return undefined;
}

/** Own keys; those of errors in no order, for nobody relies on one, and without the stack. */
function keysOf(value) {
  const keys = Reflect.ownKeys(value).map(String);
  return isError(value) ? keys.filter(key => key !== 'stack').sort() : keys;
}

function kindOf(value) {
  if (ArrayBuffer.isView(value)) {
    return Buffer.isBuffer(value) ? 'Buffer' : Object.prototype.toString.call(value);
  }
  const tests = ['isProxy', 'isDate', 'isRegExp', 'isMap', 'isSet', 'isArrayBuffer', 'isBoxedPrimitive'];
  const found = tests.find(test => types[test](value)) ?? (isError(value) ? 'error' : typeof value);
  return Array.isArray(value) ? `array ${found}` : found;
}

function isError(value) {
  return types.isNativeError(value) || value instanceof Error || value instanceof DOMException;
}

/** Built-ins of another realm count as ours: jest runs tests in one of its own. */
function samePrototype(a, b) {
  if (a === b || a === null || b === null) {
    return a === b;
  }
  const [first, second] = [a, b].map(each => Object.getOwnPropertyDescriptor(each, 'constructor')?.value);
  return (
    typeof first === 'function' &&
    typeof second === 'function' &&
    first.name === second.name &&
    [first, second].every(each => Function.prototype.toString.call(each).includes('[native code]'))
  );
}

function bytesOf(value) {
  return ArrayBuffer.isView(value)
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : Buffer.from(value, 0, value.byteLength);
}

function print(value) {
  const text = Object.is(value, -0) ? '-0' : typeof value === 'bigint' ? `${value}n` : String(value);
  return text.length > 100 ? `${text.slice(0, 100)}... (${text.length})` : text;
}

module.exports = { difference };
