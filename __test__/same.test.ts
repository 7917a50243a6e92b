import { runInNewContext } from 'node:vm';
import { difference } from './support/same';

const shared = {};
const cycle: { self?: unknown } = {};
cycle.self = cycle;
const copyOfCycle: { self?: unknown } = {};
copyOfCycle.self = copyOfCycle;
const withExtra = Object.assign([1], { extra: 2 });
class Known extends Error {}

test.each<[string, unknown, unknown]>([
  ['zeros', 0, -0],
  ['strings', 'a', 'b'],
  ['a number and its text', 1, '1'],
  ['null and undefined', null, undefined],
  ['a missing key and an undefined one', {}, { a: undefined }],
  ['the order of keys', { a: 1, b: 2 }, { b: 2, a: 1 }],
  ['a hole and undefined', new Array(1), [undefined]],
  ['lengths', new Array(1), new Array(2)],
  ['extra properties of arrays', [1], withExtra],
  ['an array and an object like it', ['a'], Object.assign(Object.create(Array.prototype), { 0: 'a', length: 1 })],
  ['null prototypes', {}, Object.create(null)],
  ['classes', new Known(), new Error()],
  ['what is shared', [shared, shared], [{}, {}]],
  ['what is not shared', [{}, {}], [shared, shared]],
  ['cycles', cycle, { self: cycle }],
  ['dates', new Date(1), new Date(2)],
  ['flags', /a/g, /a/i],
  ['lastIndex', /a/g, Object.assign(/a/g, { lastIndex: 1 })],
  ['boxed values', Object(1), Object(2)],
  ['a boxed value and its object', Object('a'), new String('b')],
  ['bytes', Buffer.from('a'), Buffer.from('b')],
  ['a Buffer and its Uint8Array', Buffer.from('a'), new Uint8Array([97])],
  ['typed arrays of one kind', new Int8Array([1]), new Int8Array([1, 2])],
  ['kinds of typed arrays', new Int8Array([1]), new Uint8Array([1])],
  ['array buffers', new ArrayBuffer(1), new ArrayBuffer(2)],
  [
    'the order in maps',
    new Map([
      [1, 1],
      [2, 2],
    ]),
    new Map([
      [2, 2],
      [1, 1],
    ]),
  ],
  ['values in maps', new Map([[1, -0]]), new Map([[1, 0]])],
  ['sets', new Set([{ a: 1 }]), new Set([{ a: 2 }])],
  ['messages', new Error('a'), new Error('b')],
  [
    'what is enumerable',
    Object.assign(new Error(), { name: 'A' }),
    Object.defineProperty(new Error(), 'name', { value: 'A' }),
  ],
  ['a proxy and its target', {}, new Proxy({}, {})],
])('%s tell values apart', (_, a, b) => {
  expect(difference(a, b)).toEqual(expect.stringContaining('value'));
  expect(difference([{ a }], [{ a: b }])).toBeDefined();
  expect(difference(a, a)).toBeUndefined();
});

test('values that are the same do not differ, whichever realm they are of', () => {
  expect(difference(cycle, copyOfCycle)).toBeUndefined();
  expect(
    difference(runInNewContext('[{ a: new Map([[1, new Date(5)]]) }]'), [{ a: new Map([[1, new Date(5)]]) }]),
  ).toBe(undefined);
  expect(difference(new Error('a'), new Error('a'))).toBeUndefined();
});
