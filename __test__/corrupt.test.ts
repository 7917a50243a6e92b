import { decode, encode } from '../ts/codec';
import { decodeError, encodeError, type PlainError } from '../ts/errors';
import { numbers } from './support/numbers';

const value = () => [
  { text: 'ünï', long: '中'.repeat(50), at: new Date(5), big: 2n ** 70n, re: /a(b)/gi, holes: new Array(3) },
  new Map<unknown, unknown>([[{ a: 1 }, new Set([Buffer.from('bytes'), new Float64Array(3)])]]),
  Object.assign(new TypeError('no', { cause: new Error('why') }), { code: 'E', list: [new DOMException('x')] }),
  [Object(1), Object('s'), new DataView(new ArrayBuffer(4)), new ArrayBuffer(2)],
];

/** What reading must do with anything: give something, or throw an error. */
function read(action: () => unknown): 'read' | 'refused' {
  try {
    action();
    return 'read';
  } catch (error) {
    expect(error).toHaveProperty('message', expect.any(String));
    return 'refused';
  }
}

describe('malformed bytes', () => {
  const intact = encode(value(), 'args') as Buffer;

  it.each([1, 2, 3, 4])('are refused, or read as something else, and nothing more happens (seed %i)', seed => {
    const next = numbers(seed);
    const counts = { read: 0, refused: 0 };
    for (let i = 0; i < 1500; i++) {
      const bytes = Buffer.from(intact);
      for (let changes = 1 + next(4); changes > 0; changes--) {
        bytes[next(bytes.length)] = next(256);
      }
      const from = next(10) === 0 ? next(bytes.length) : 0;
      const to = next(4) === 0 ? next(bytes.length) : bytes.length;
      counts[read(() => decode(bytes.subarray(from, to), next(2) === 0))]++;
    }
    expect(counts.refused).toBeGreaterThan(300);
    expect(counts.read).toBeGreaterThan(50);
  });

  it.each([1, 2])('that are noise are refused (seed %i)', seed => {
    const next = numbers(seed);
    for (let i = 0; i < 1000; i++) {
      const bytes = Buffer.from(Array.from({ length: next(60) }, () => next(256)));
      const heads = [
        Buffer.alloc(0),
        Buffer.from([0xff, 15]),
        Buffer.from([0x45, 0xff, 15]),
        Buffer.from([0xff, 15, 92]),
      ];
      read(() => decode(Buffer.concat([heads[next(4)], bytes])));
    }
    expect(read(() => decode(Buffer.alloc(0)))).toBe('refused');
  });

  it.each<[string, number[]]>([
    ['a view of a kind that there is not', [92, 99, 0]],
    ['a view longer than the rest', [92, 0, 0xff, 0xff, 0xff, 0xff, 15]],
    ['a view that ends inside an element', [92, 10, 3, 1, 2, 3]],
    ['an error that is not there', [92, 100, 0]],
    ['an object of the prototype', [92, 255, 1, 0]],
    ['a string longer than the rest', [34, 0xff, 0xff, 0xff, 0x7f]],
    ['an array longer than the rest', [65, 0xff, 0xff, 0xff, 0x7f]],
    ['shared memory', [117, 0]],
  ])('with %s are refused', (_, bytes) => {
    expect(read(() => decode(Buffer.from([0xff, 15, ...bytes])))).toBe('refused');
  });

  it('leave the next value alone', () => {
    read(() => decode(Buffer.from([0xff, 15, 92, 99, 0])));
    expect(decode(encode([new Date(5)], 'args'))).toEqual([new Date(5)]);
  });
});

describe('malformed text', () => {
  it.each([1, 2])('is refused, or read as something else, and nothing more happens (seed %i)', seed => {
    const next = numbers(seed);
    const texts = [
      encode([{ a: [1, 'x', null, true, { b: 'ünï \ud800' }] }], 'args') as string,
      JSON.stringify(
        encodeError(Object.assign(new TypeError('a', { cause: new Error('b') }), { errors: [new Error('c')] })),
      ),
    ];
    const counts = { read: 0, refused: 0 };
    for (let i = 0; i < 2000; i++) {
      const units = [...texts[i % 2]];
      for (let changes = 1 + next(3); changes > 0; changes--) {
        units[next(units.length)] = '{}[]":,0a\\$_'[next(12)];
      }
      counts[read(() => decodeError(decode(units.join('')) as PlainError, 'Error\n    at here'))]++;
    }
    expect(counts.refused).toBeGreaterThan(300);
    expect(counts.read).toBeGreaterThan(50);
  });
});
