import { Dictionary } from '../ts/codec/dictionary';
import { pack } from '../ts/codec/pack';
import { LARGEST_PACKED } from '../ts/codec/packed';
import { unpack } from '../ts/codec/unpack';
import { Chunks, type Packed } from '../ts/engine/chunks';
import { argsOf, idOf, packCall, packReply, statusOf } from '../ts/engine/packed-frames';
import { numbers } from './support/numbers';
import { difference } from './support/same';
import { differs, values } from './support/values';

const room = Buffer.alloc(LARGEST_PACKED + 200);

/** Where a value ends that is packed from 3 on; 0 when it is not. Nothing beyond what a value may take is written. */
function packed(value: unknown, isList = false): number {
  room.fill(0xee);
  const end = pack(value, isList, room, 3);
  expect(end).toBeLessThanOrEqual(3 + LARGEST_PACKED);
  expect(room.subarray(0, 3).equals(Buffer.alloc(3, 0xee))).toBe(true);
  return end;
}

function arrived(value: unknown): unknown {
  const end = packed(value);
  expect(end).toBeGreaterThan(3);
  return unpack(room, 3, end);
}

/** What is small, and has more than can be packed: keys beyond Latin-1, many objects. */
const more = ['keys that are odd', 'text nested 30 times'];

describe('a value that is packed', () => {
  it.each(values.map((each, index) => [each.name, index] as const))('arrives as it was, or is not: %s', (_, index) => {
    const { name, make, isPlain } = values[index];
    const end = packed(make());
    if (end > 0) {
      expect(differs(index, unpack(room, 3, end))).toBeUndefined();
    } else {
      // What JSON can carry, and is small, is packed.
      expect(isPlain && !more.includes(name) && JSON.stringify(make()).length < 200).toBe(false);
    }
    const list = packed([make()], true);
    if (list > 0) {
      expect(differs(index, (unpack(room, 3, list) as unknown[])[0])).toBeUndefined();
    }
  });

  it.each([
    0,
    1,
    127,
    128,
    -1,
    -128,
    255,
    256,
    65_535,
    2 ** 31 - 1,
    2 ** 31,
    -(2 ** 31),
    -(2 ** 31) - 1,
    2 ** 53,
    0.1,
    -0,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.MIN_VALUE,
    true,
    false,
    null,
    undefined,
    '',
    'a',
    'x'.repeat(63),
    'x'.repeat(64),
    'x'.repeat(255),
    '\0',
    'é'.repeat(100),
    '\u0100',
    '中文',
    '😀',
    '\ud800',
    'ab\udfff',
    '中'.repeat(240),
  ])('may be %j', value => {
    expect(difference(arrived(value), value)).toBeUndefined();
    expect(difference(arrived([value, { a: value }]), [value, { a: value }])).toBeUndefined();
  });

  it.each([
    [[]],
    [{}],
    [{ '': 1, ' ': 2, é: 3 }],
    [{ b: 1, a: 2, 1: 'x', 0: 'y' }],
    [Array.from({ length: 255 }, (_, i) => i & 1)],
    [[undefined, null, undefined]],
    [{ a: undefined }],
    [[[[[[[1]]]]]]],
    [{ a: { a: { a: [{ a: 1 }, { a: 2 }, { b: 1 }] } } }],
    [Object.assign(Object.create(null), { a: 1 })],
  ])('may be %j', value => {
    expect(arrived(value)).toEqual(value);
  });

  it('has its keys in their order, and nothing of an object with the same keys before', () => {
    expect(Object.keys(arrived({ b: 1, a: 2 }) as object)).toEqual(['b', 'a']);
    expect(Object.keys(arrived({ a: 1, b: 2 }) as object)).toEqual(['a', 'b']);
    const first = arrived({ a: [1], b: 'x' });
    expect(arrived({ a: [2], b: undefined })).toEqual({ a: [2], b: undefined });
    expect(first).toEqual({ a: [1], b: 'x' });
  });

  it('is one of thousands of shapes', () => {
    for (let i = 0; i < 3000; i++) {
      const value = { [`key${i}`]: i, [`other${i % 7}`]: 'x' };
      expect(arrived(value)).toEqual(value);
    }
  });

  it.each([1, 2, 3])('is any tree of plain values (seed %i)', seed => {
    const next = numbers(seed);
    let count = 0;
    for (let i = 0; i < 2000; i++) {
      const value = tree(next, 4);
      const end = packed(value);
      if (end > 0) {
        expect(difference(unpack(room, 3, end), value)).toBeUndefined();
        count++;
      }
    }
    expect(count).toBeGreaterThan(1500);
  });
});

function tree(next: (below: number) => number, depth: number): unknown {
  const leaves = [
    next(300) - 100,
    next(2) === 0,
    null,
    undefined,
    next(1000) / 7,
    'x'.repeat(next(40)),
    '中'.repeat(next(5)),
  ];
  const kind = next(leaves.length + (depth > 0 ? 4 : 0));
  if (kind < leaves.length) {
    return leaves[kind];
  }
  const children = Array.from({ length: next(4) }, () => tree(next, depth - 1));
  return kind % 2
    ? children
    : Object.fromEntries(children.map((child, i) => [`${'kéy'.slice(0, next(4))}${i}`, child]));
}

describe('what is not packed', () => {
  const shared = {};
  const round: Record<string, unknown> = {};
  round.self = round;
  it.each<[string, unknown]>([
    ['a hole', Object.assign(new Array(2), { 1: 1 })],
    ['an array with more than its elements', Object.assign([1], { index: 0 })],
    ['as many of these as holes', Object.assign(new Array(2), { 1: 1, index: 0 })],
    ['an object that occurs twice', [shared, shared]],
    ['an object in itself', round],
    ['__proto__ as a key', JSON.parse('{"__proto__":1}')],
    ['a key with a NUL', { 'a\0b': 1 }],
    ['a key beyond Latin-1', { 中: 1 }],
    ['many keys', Object.fromEntries(Array.from({ length: 256 }, (_, i) => [i, i]))],
    ['long keys', { ['k'.repeat(200)]: 1, ['l'.repeat(60)]: 2 }],
    ['a long string', 'x'.repeat(4096)],
    ['a long string of others', 'é'.repeat(2048)],
    ['a long list', new Array(256).fill(1)],
    ['many objects', Array.from({ length: 17 }, () => ({}))],
    ['many objects in lists', Array.from({ length: 13 }, () => [{}, {}, {}, {}])],
    ['more than fits', Array.from({ length: 6 }, () => 'x'.repeat(700))],
    ['numbers that do not fit', Array.from({ length: 3 }, () => new Array(250).fill(0.1))],
    ['a deep value', JSON.parse(`${'['.repeat(40)}${']'.repeat(40)}`)],
    ['a bigint', 1n],
    ['a symbol', Symbol('s')],
    ['a function', () => {}],
    ['a Date', new Date(5)],
    ['an object of a class', new (class Point {})()],
    ['an object that inherits', Object.create({ a: 1 })],
  ])('is %s', (_, value) => {
    expect(packed(value)).toBe(0);
    expect(packed({ among: [1, value] })).toBe(0);
  });

  it('is what a getter deletes, or throws', () => {
    const deleting = {
      get a() {
        delete (this as { b?: unknown }).b;
        return 1;
      },
      b: 2,
    };
    expect(packed(deleting)).toBe(0);
    const throwing = {
      get a() {
        throw new Error('mine');
      },
    };
    expect(packed(throwing)).toBe(0);
    expect(arrived({ a: 1 })).toEqual({ a: 1 });
  });

  it('is anything while a getter is being read, which may do what it likes', () => {
    const inner: number[] = [];
    const value = {
      get a() {
        inner.push(pack([1], false, Buffer.alloc(LARGEST_PACKED), 0));
        unpack(Buffer.from([5]), 0, 1);
        return { b: 1 };
      },
      c: [2],
    };
    expect(arrived(value)).toEqual({ a: { b: 1 }, c: [2] });
    expect(inner).toEqual([0]);
  });
});

it('a long list is looked at no further', () => {
  const list = new Array(1000).fill(0);
  const looked = jest.spyOn(Object, 'keys');
  pack(list, false, room, 0);
  const { length } = looked.mock.calls;
  looked.mockRestore();
  expect(length).toBe(0);
});

describe('bytes from another process', () => {
  const value = [
    { id: 7, name: 'a small value', tags: ['a', 'b'], wide: '中', n: 0.5, big: 70_000, more: { x: null } },
  ];

  it.each([1, 2, 3, 4])('give a value or an error, whatever they are (seed %i)', seed => {
    const next = numbers(seed);
    const end = packed(value);
    const good = Buffer.from(room.subarray(3, end));
    const counts = { read: 0, refused: 0 };
    for (let i = 0; i < 5000; i++) {
      const bytes = i % 2 ? Buffer.from(good) : Buffer.from(Array.from({ length: 1 + next(60) }, () => next(256)));
      for (let changes = next(4); changes > 0; changes--) {
        bytes[next(bytes.length)] = next(256);
      }
      const cut = next(5) === 0 ? next(bytes.length + 1) : bytes.length;
      try {
        unpack(bytes, 0, cut);
        counts.read++;
      } catch (error) {
        expect((error as Error).message).toBe('a packed value is malformed');
        counts.refused++;
      }
    }
    expect(counts.read).toBeGreaterThan(500);
    expect(counts.refused).toBeGreaterThan(500);
  });

  it('can not reach the prototypes', () => {
    const keys = Buffer.from('__proto__\0', 'latin1');
    const bytes = Buffer.concat([Buffer.from([0xc9, keys.length]), keys, Buffer.from([0xc9, 0])]);
    expect(() => unpack(bytes, 0, bytes.length)).toThrow('malformed');
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('are read to their end, and not beyond it', () => {
    const end = packed(value);
    expect(() => unpack(room, 3, end - 1)).toThrow('malformed');
    expect(() => unpack(room, 3, end + 1)).toThrow('malformed');
  });

  it('that nest deeply are refused', () => {
    const bytes = Buffer.concat([...Array.from({ length: 5000 }, () => Buffer.from([0xc8, 1])), Buffer.from([1])]);
    expect(() => unpack(bytes, 0, bytes.length)).toThrow('malformed');
  });
});

describe('what is known of texts by their bytes', () => {
  it('is made once for two that take turns, wherever they have their place', () => {
    const next = numbers(9);
    const word = () => Buffer.from(Array.from({ length: 1 + next(12) }, () => 97 + next(26)));
    for (let i = 0; i < 3000; i++) {
      const made: string[] = [];
      const known = new Dictionary(text => made.push(text) && text);
      const words = [word(), word()];
      for (let turn = 0; turn < 6; turn++) {
        const bytes = words[turn % 2];
        expect(known.find(bytes, 0, bytes.length)).toBe(bytes.toString());
      }
      expect(made.length).toBeLessThanOrEqual(2);
    }
  });

  it('is nothing when it can not be made', () => {
    const known = new Dictionary(() => {
      throw new Error('no');
    });
    for (let i = 0; i < 2; i++) {
      expect(() => known.find(Buffer.from('a'), 0, 1)).toThrow('no');
    }
  });
});

describe('memory for packed calls', () => {
  it('is used again as soon as nothing in it is needed, and never before', () => {
    const chunks = new Chunks();
    const next = numbers(5);
    const kept: { call: Packed; args: unknown[] }[] = [];
    const buffers = new Set<Buffer>();
    for (let i = 0; i < 20_000; i++) {
      const args = [i, 'x'.repeat(next(60))];
      const call = packCall(chunks, 'a.method', args) as Packed;
      buffers.add(call.bytes);
      kept.push({ call, args });
      while (kept.length > next(400)) {
        const [{ call: oldest, args: its }] = kept.splice(next(kept.length), 1);
        expect(argsOf(oldest)).toEqual(its);
        chunks.release(oldest);
        // A second time changes nothing.
        chunks.release(oldest);
      }
    }
    for (const { call, args } of kept) {
      expect(argsOf(call)).toEqual(args);
    }
    expect(buffers.size).toBeLessThan(40);
  });

  it('is bounded, whatever waits long: other calls have to go another way, until there is room', () => {
    const chunks = new Chunks();
    for (let round = 0; round < 3; round++) {
      const buffers = new Set<Buffer>();
      const slow: { call: Packed; i: number }[] = [];
      let call: Packed | undefined;
      for (let i = 0; i < 500_000; i++) {
        call = packCall(chunks, 'a.method', ['x'.repeat(90), i]);
        if (!call) {
          break;
        }
        buffers.add(call.bytes);
        // Each of these holds a chunk.
        i % 300 === 0 ? slow.push({ call, i }) : chunks.release(call);
      }
      expect(call).toBeUndefined();
      expect(buffers.size).toBe(256);
      expect(slow.map(each => argsOf(each.call)[1])).toEqual(slow.map(each => each.i));
      for (const each of slow) {
        chunks.release(each.call);
      }
      const last = packCall(chunks, 'a.method', [1]);
      expect(last).toBeDefined();
      chunks.release(last as Packed);
    }
  });

  it('is not written while a value is being packed', () => {
    const chunks = new Chunks();
    const inner: unknown[] = [];
    const value = {
      get key() {
        inner.push(packCall(chunks, 'inner', []), packReply(chunks, 99, 5, 1));
        return 'k';
      },
    };
    const call = packCall(chunks, 'outer', [value]) as Packed;
    const reply = packReply(chunks, 7, 0, value) as Packed;
    expect(inner).toEqual([undefined, undefined, undefined, undefined]);
    expect([argsOf(call), idOf(reply), statusOf(reply)]).toEqual([[{ key: 'k' }], 7, 0]);
    expect(call.bytes.toString('latin1', call.from + 7, call.from + 12)).toBe('outer');
  });

  it('has no carrier of which JSON would leave something out', () => {
    expect(packCall(new Chunks(), 'x', [], { traceparent: undefined as unknown as string })).toBeUndefined();
  });

  it.each(['', '中', 'x'.repeat(128)])('has no calls of a method named %j', name => {
    expect(packCall(new Chunks(), name, [])).toBeUndefined();
  });
});
