// Values that travel between processes. Plain JavaScript: processes without a compiler use it too. Each is made where
// it is needed.
const { difference } = require('./same');

class Point {
  constructor(x, y) {
    this.x = x;
    this.y = y;
  }
  get sum() {
    return this.x + this.y;
  }
}
class Money {
  #cents = 1250;
  toJSON() {
    return `${this.#cents / 100} EUR`;
  }
}
class Row {
  dataValues = { id: 1, at: new Date(5), tags: ['a'] };
  _model = () => {};
  toJSON() {
    return { ...this.dataValues };
  }
}
class Moment {
  $d = new Date(5);
  toJSON() {
    return this.$d.toISOString();
  }
}
class List extends Array {}
class Dictionary extends Map {}
class NamedDictionary extends Map {
  toJSON() {
    return { named: [...this.keys()] };
  }
}
class Bag extends Set {}
class Day extends Date {}
class NamedDay extends Date {
  toJSON() {
    return 'a day';
  }
}
class Bytes extends Uint8Array {}
class Itself {
  a = 1;
  toJSON() {
    return this;
  }
}

const nested = (depth, inner = 1) => {
  let value = inner;
  for (let i = 0; i < depth; i++) {
    value = i % 2 ? { a: value } : [value];
  }
  return value;
};
const filled = (length, value) => Array.from({ length }, (_, i) => value(i));
const withProperty = (target, key, descriptor) =>
  Object.defineProperty(target, key, { enumerable: true, ...descriptor });
const twice = (shared, use) => () => use(shared);
const cycle = (self, close) => {
  close(self, self);
  return self;
};
const fromRegExp = () => /(?<letter>b)(x)?/.exec('abc');

// [name, make, what arrives if it is something else]. Text first: what JSON carries.
const plain = [
  ['an empty object', () => ({})],
  ['an empty array', () => []],
  ['null', () => null],
  ['true', () => true],
  ['zero', () => 0],
  ['a small negative number', () => -1.5e-7],
  ['2^53', () => 2 ** 53],
  ['the largest number', () => Number.MAX_VALUE],
  ['an empty string', () => ''],
  ['control characters and quotes', () => '\u0000\n\t"\\/\u2028\u2029\u007f'],
  ['short texts of each kind', () => ['\u0000', '\n', '"', '\\', '\ud800', '\u2028', '\u007f', 'ü']],
  ['every Latin-1 character', () => String.fromCharCode(...filled(256, i => i))],
  ['emoji', () => 'ünï \u{1f600} 中文'],
  ['a lone surrogate', () => '\ud800 and \udc00'],
  ['keys that are odd', () => ({ '': 1, ' ': 2, '"': 3, 1: 4, constructor: 5, ü: 6, '\ud800': 7, length: 8 })],
  ['small nested objects', () => ({ a: [{ b: { c: [null, true, 'x', 1] } }], d: {} })],
  ['a string just short', () => 'x'.repeat(2048)],
  ['64 numbers', () => filled(64, i => i / 2)],
  ['65 numbers', () => filled(65, i => i - 32)],
  ['16 objects', () => filled(15, i => ({ i }))],
  ['1000 objects', () => filled(1000, i => ({ id: i, name: `name ${i}`, tags: ['a', i], address: { zip: `${i}` } }))],
  ['an object of 10,000 keys', () => Object.fromEntries(filled(10_000, i => [`key${i}`, i]))],
  ['text nested 30 times', () => nested(30)],
  ['an object without a prototype', () => Object.assign(Object.create(null), { a: 1 }), () => ({ a: 1 })],
  ['a field toJSON that is no function', () => ({ toJSON: 1, a: { toJSON: { b: 1 } } })],
  ['symbol keys', () => ({ a: 1, [Symbol('s')]: 2 }), () => ({ a: 1 })],
  ['a getter', () => withProperty({ a: 1 }, 'b', { get: () => 2 }), () => ({ a: 1, b: 2 })],
  [
    'a field that is not enumerable',
    () => withProperty({ a: 1 }, 'b', { value: 2, enumerable: false }),
    () => ({ a: 1 }),
  ],
  ['a frozen object', () => Object.freeze({ a: Object.freeze([1]) }), () => ({ a: [1] })],
  ['a proxy of an object', () => new Proxy({ a: [1] }, {}), () => ({ a: [1] })],
  ['a proxy of an array', () => new Proxy([1, 2], {}), () => [1, 2]],
  [
    'arguments',
    () =>
      (function () {
        // biome-ignore lint/complexity/noArguments: this is what is tested
        return arguments;
      })('a', 1),
    () => ({ 0: 'a', 1: 1 }),
  ],
];

const others = [
  ['undefined', () => undefined],
  ['minus zero', () => -0],
  ['NaN', () => Number.NaN],
  ['infinities', () => [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
  ['a BigInt', () => -1n],
  ['a huge BigInt', () => 2n ** 4000n + 1n],
  ['undefined in an object and an array', () => ({ a: undefined, b: [undefined] })],
  ['holes', () => Object.assign(new Array(4), { 0: 1, 2: 3 })],
  ['a large sparse array', () => Object.assign(new Array(4_000_000_000), { 5: 'a', 3999999999: 'b' })],
  ['an array with other properties', () => Object.assign([1, 2], { total: 7, __proto: 1, '-1': 2 })],
  ['a hole and another property', () => Object.assign(new Array(1), { extra: 1 })],
  [
    'what a regular expression found',
    fromRegExp,
    () => Object.assign(['b', 'b', undefined], { index: 1, input: 'abc', groups: { letter: 'b' } }),
  ],
  ['a long one-byte string', () => 'é"x'.repeat(700_000)],
  ['a long two-byte string', () => '中\n'.repeat(700_000)],
  ['a string just too long', () => 'x'.repeat(2048 + 4 * 64)],
  ['a long lone surrogate', () => `${'x'.repeat(5000)}\ud800`],
  ['10,000 numbers', () => filled(10_000, i => i * 1.37)],
  ['an own __proto__', () => JSON.parse('{"__proto__": {"a": 1}, "b": 2}')],
  ['an own __proto__ that is undefined', () => withProperty({}, '__proto__', { value: undefined, writable: true })],
  ['a class instance', () => new Point(1, 2), () => ({ x: 1, y: 2 })],
  ['an instance without fields', () => new (class Empty {})(), () => ({})],
  ['an instance with toJSON', () => new Money(), () => '12.5 EUR'],
  ['a row of an ORM', () => new Row(), () => ({ id: 1, at: new Date(5), tags: ['a'] })],
  ['a moment', () => ({ at: new Moment() }), () => ({ at: '1970-01-01T00:00:00.005Z' })],
  ['a URL', () => new URL('http://a/b?c'), () => 'http://a/b?c'],
  ['a toJSON that returns itself', () => new Itself(), () => ({ a: 1 })],
  ['a toJSON that returns undefined', () => [{ toJSON: () => undefined }], () => [undefined]],
  [
    'a toJSON that returns a Map',
    () => ({ toJSON: () => new Map([[1, new Money()]]) }),
    () => new Map([[1, '12.5 EUR']]),
  ],
  ['a toJSON that is told its key', () => ({ a: { toJSON: key => `in ${key}` } }), () => ({ a: 'in a' })],
  ['a Map subclass with toJSON', () => new NamedDictionary([['a', 1]]), () => ({ named: ['a'] })],
  ['a Date subclass with toJSON', () => new NamedDay(5), () => 'a day'],
  ['a Map subclass', () => new Dictionary([['a', 1]]), () => new Map([['a', 1]])],
  ['a Set subclass', () => new Bag([1]), () => new Set([1])],
  ['a Date subclass', () => new Day(5), () => new Date(5)],
  ['an Array subclass', () => List.from([1, 2]), () => [1, 2]],
  ['a Uint8Array subclass', () => new Bytes([1, 2]), () => new Uint8Array([1, 2])],
  ['boxed values', () => [Object(1), Object('text'), Object(true), Object(1n), Object(-0)]],
  ['a date', () => new Date(1234567890123)],
  ['a date that is none', () => new Date(Number.NaN)],
  ['a date with a field', () => Object.assign(new Date(5), { extra: 1 }), () => new Date(5)],
  ['regular expressions', () => [/a(?<b>c)\/ü/dgimsuy, /[\p{L}]/u, /(?:)/]],
  ['lastIndex', () => Object.assign(/a/g, { lastIndex: 3 }), () => /a/g],
  [
    'a Map with object keys',
    () =>
      new Map([
        [{ a: 1 }, new Map([[[1], undefined]])],
        ['b', new Set([{}])],
      ]),
  ],
  ['a Map in a Set', () => new Set([new Map([[-0, Number.NaN]]), null, undefined])],
  [
    'a Map whose keys are instances',
    () => new Map([[new Point(1, 2), new Money()]]),
    () => new Map([[{ x: 1, y: 2 }, '12.5 EUR']]),
  ],
  ['an empty Map and Set', () => [new Map(), new Set()]],
  ['one object twice', twice({ a: 1 }, shared => [shared, { again: shared }])],
  ['one array twice, deep in text', twice([], shared => filled(100, () => ({ shared })))],
  [
    'one date in a Map, a Set and a field',
    twice(new Date(5), at => ({ at, map: new Map([[at, at]]), set: new Set([at]) })),
  ],
  [
    'one instance twice',
    twice(new Point(1, 2), shared => [shared, shared]),
    twice({ x: 1, y: 2 }, shared => [shared, shared]),
  ],
  ['one ArrayBuffer twice', twice(new ArrayBuffer(100_000), shared => [shared, shared])],
  ['one Buffer twice', twice(Buffer.alloc(50_000, 1), shared => [shared, { shared }])],
  ['one error twice', twice(new Error('a'), shared => [shared, { shared }])],
  [
    'an AggregateError of one error',
    twice(new SyntaxError('a'), shared => new AggregateError([shared, shared, 'text'], 'all')),
  ],
  ['a cycle', () => cycle({ a: [] }, (self, { a }) => a.push(self))],
  ['a cycle through a Map and a Set', () => cycle(new Map(), self => self.set(self, new Set([self])))],
  ['an error that is its own cause', () => cycle(new Error('a'), self => Object.assign(self, { cause: self }))],
  [
    'an error that holds what holds it',
    () => cycle({ error: new Error('a') }, (self, { error }) => Object.assign(error, { self })),
  ],
  ['doubled references, 40 deep', () => filled(40, i => i).reduce(inner => ({ a: inner, b: inner }), {})],
  ['values nested 40 times', () => nested(40)],
  ['values nested 900 times', () => nested(900, new Date(5))],
  ['an ArrayBuffer', () => new Uint8Array([1, 2, 3]).buffer],
  ['a Buffer', () => Buffer.from([0, 255, 10])],
  ['a Buffer from the pool', () => Buffer.from('somewhere in the pool').subarray(3, 9)],
  ['a large Buffer', () => Buffer.alloc(1_000_000, 'abc')],
  ['a part of a large Buffer', () => Buffer.alloc(100_000, 'abc').subarray(50_001, 50_011)],
  ['empty bytes', () => [Buffer.alloc(0), new Uint8Array(0), new ArrayBuffer(0), new DataView(new ArrayBuffer(0))]],
  ...[Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array].map(View => [
    `a ${View.name}`,
    () => ['', View.from([1, 2, 255]), new View(new Uint8Array(24).fill(9).buffer, 8, 2)],
  ]),
  ...[Float32Array, Float64Array].map(View => [`a ${View.name}`, () => ['', View.from([-0, 1.5, Number.NaN, 1 / 0])]]),
  ...[BigInt64Array, BigUint64Array].map(View => [`a ${View.name}`, () => ['abc', View.from([1n, 2n ** 63n - 1n])]]),
  ['a DataView', () => new DataView(new Uint8Array([1, 2, 3, 4]).buffer, 1, 2)],
  ['an error', () => new RangeError('no')],
  [
    'an error with all it has',
    () =>
      Object.assign(new TypeError('a', { cause: new Error('b') }), {
        code: 'E',
        at: new Date(5),
        tags: new Set(['x']),
        send: undefined,
      }),
  ],
  [
    'an error with functions, which stay behind',
    () => Object.assign(new Error('a'), { retry() {}, n: 1 }),
    () => Object.assign(new Error('a'), { n: 1 }),
  ],
  [
    'errors in a Map, a Set and settled promises',
    () =>
      new Map([
        [new Error('k'), [{ status: 'rejected', reason: new URIError('r') }]],
        [1, new Set([new Error('s')])],
      ]),
  ],
  ['a DOMException', () => new DOMException('stopped', 'AbortError')],
];

const entry = isPlain => each => ({ name: each[0], make: each[1], arrives: each[2] ?? each[1], isPlain });
/** Whatever it stands beside, a value that JSON can't carry goes the other way. */
const beside = value => [value, 1n];

/** How what arrived differs from what should have arrived. */
const differs = (index, arrived) => difference(arrived, values[index].arrives());

const values = [...plain.map(entry(true)), ...others.map(entry(false))];
module.exports = { values, beside, differs };
