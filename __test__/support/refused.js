// Values that can't be sent to another process, and what the error says after the name of the argument or the result.
class Point {
  constructor(x, y) {
    this.x = x;
    this.y = y;
  }
}

const withProperty = (target, key, descriptor) =>
  Object.defineProperty(target, key, { enumerable: true, ...descriptor });
const never = () => {
  throw new Error('thrown by the value');
};

const refused = [
  ['a function', () => () => 1, ' is a function,'],
  ['a class', () => Point, ' is a function,'],
  ['a symbol', () => Symbol('s'), ' is a symbol,'],
  ['a boxed symbol', () => [Object(Symbol('s'))], '[0] is a symbol,'],
  ['a callback in an object', () => ({ a: { callback() {} } }), '.a.callback is a function,'],
  ['a function in an array', () => [1, [() => 1]], '[1][0] is a function,'],
  ['a function under an odd key', () => ({ 'a b': { 7: () => 1 } }), '["a b"][7] is a function,'],
  [
    'a function in a Map',
    () =>
      new Map([
        ['a', 1],
        ['b', { c: () => 1 }],
      ]),
    '.values[1].c is a function,',
  ],
  ['a function as a key of a Map', () => new Map([[() => 1, 1]]), '.keys[0] is a function,'],
  ['a symbol in a Set', () => new Set([1, 2, [Symbol('s')]]), '.values[2][0] is a symbol,'],
  ['a function in a class instance', () => new Point(1, { y: [() => 1] }), '.y.y[0] is a function,'],
  ['a function that toJSON gives', () => ({ a: { toJSON: () => ({ b: () => 1 }) } }), '.a.b is a function,'],
  ['a function as another property of an array', () => Object.assign([1], { each: () => 1 }), '.each is a function,'],
  ['a function after 100,000 values', () => [...new Array(100_000).fill(0), () => 1], '[100000] is a function,'],
  ['a promise', () => ({ a: Promise.resolve(1) }), '.a is a promise (is an await missing?),'],
  ['a WeakMap', () => new WeakMap(), ' is a weak collection,'],
  ['a WeakRef', () => [new WeakRef({})], '[0] is a WeakRef, which has no fields that could be copied,'],
  ['a generator', () => (function* () {})(), ' is a generator,'],
  ['an async generator', () => [(async function* () {})()], '[0] is a generator,'],
  ['an iterator', () => ({ a: new Map().keys() }), '.a is a Map Iterator, which has no fields'],
  ['shared memory', () => [new SharedArrayBuffer(1)], '[0] is shared memory,'],
  ['a view of shared memory', () => ({ a: new Uint8Array(new SharedArrayBuffer(1)) }), '.a is shared memory,'],
  ['a detached buffer', () => [detached()], '[0] is a detached buffer,'],
  ['a view of a detached buffer', () => [detachedView()], '[0] is a view of a detached buffer,'],
  [
    'an AbortSignal',
    () => ({ signal: new AbortController().signal }),
    '.signal is an AbortSignal, which has no fields',
  ],
  ['URLSearchParams', () => new URLSearchParams('a=1'), ' is a URLSearchParams, which has no fields'],
  ['a key', () => require('node:crypto').createSecretKey(Buffer.from('a')), ' is a KeyObject, which has no fields'],
  ['a proxy of a Map', () => ({ a: new Proxy(new Map([[1, 2]]), {}) }), '.a is a proxy of a Map,'],
  ['a proxy of a Date', () => ({ a: new Proxy(new Date(), {}) }), '.a is a proxy of a Date,'],
  ['an object made from a Promise', () => [Object.create(Promise.prototype)], '[0] is an object made from a Promise,'],
  [
    'a getter that throws',
    () => ({ a: [withProperty({}, 'b', { get: never })] }),
    ".a[0].b can't be read: Error: thrown by the value,",
  ],
  [
    'a getter that throws in an instance',
    () => withProperty(new Point(1, 2), 'z', { get: never }),
    ".z can't be read: Error",
  ],
  [
    'a toJSON that throws',
    () => ({ a: { toJSON: never } }),
    ".a can't be read: its toJSON() has thrown Error: thrown by the value,",
  ],
  ['a toJSON without end', () => ({ a: endless() }), '.a is nested in 1000 others, or without end,'],
  ['an index that throws', () => [1, [withProperty([], 0, { get: never })]], "[1][0][0] can't be read: Error"],
  ['a proxy that throws', () => ({ a: new Proxy({}, { ownKeys: never }) }), ".a can't be read: Error"],
  ['a proxy that is revoked', () => [revoked()], "[0] can't be read: TypeError"],
  ['what is nested 2000 times', () => nested(2000), '.a[0].a[0].a[0]'],
];

function detached() {
  const buffer = new ArrayBuffer(8);
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
}
function detachedView() {
  const view = new Uint8Array(8);
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}
function endless() {
  return { toJSON: endless };
}
function revoked() {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function nested(depth) {
  let value = 1;
  for (let i = 0; i < depth; i++) {
    value = i % 2 ? { a: value } : [value];
  }
  return value;
}

exports.refused = refused.map(([name, make, reason]) => ({ name, make, reason }));
