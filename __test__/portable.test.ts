/** The bytes of runtimes that have no format of V8's, written and read in Node. */
import { decode } from '../ts/codec';
import { Copy } from '../ts/codec/copy';
import { PortableMark, toPortable } from '../ts/codec/portable';
import { numbers } from './support/numbers';
import { beside, differs, values } from './support/values';

function portable(value: unknown, head = 0): Buffer {
  return toPortable(new Copy(value, 'args', row => new PortableMark(row)), head);
}

describe('a value arrives as it was:', () => {
  it.each(values.map((each, index) => [each.name, index] as const))('%s', (_, index) => {
    const { make } = values[index];
    expect(differs(index, decode(portable(make())))).toBeUndefined();
    expect(differs(index, (decode(portable(beside(make())), true) as unknown[])[0])).toBeUndefined();
  });

  it('behind the room that the caller has asked for', () => {
    const bytes = portable(new Date(5), 24);
    expect(bytes.subarray(0, 24)).toEqual(Buffer.alloc(24));
    expect(decode(bytes.subarray(24))).toEqual(new Date(5));
  });

  it('whatever a user writes, it is a value', () => {
    const value = [['u'], ['r', 0], ['e', 0], ['o', 'a', 1], { u: ['n', '-0'] }, new Error('a')];
    expect(decode(portable(value))).toEqual(value);
  });

  it('whatever toJSON() somebody has given to all arrays and objects', () => {
    const extended = [Array.prototype, Object.prototype] as { toJSON?: unknown }[];
    const bytes = extended.map(prototype => {
      prototype.toJSON = () => 'everything';
      try {
        return portable(new Map([[1, { a: [1] }]]));
      } finally {
        delete prototype.toJSON;
      }
    });
    expect(decode(bytes[0])).toBeInstanceOf(Map);
    expect(decode(bytes[1])).toBeInstanceOf(Map);
  });
});

describe('malformed bytes', () => {
  const text = (json: string, binary = ''): Buffer => {
    const head = Buffer.from([0x50, 0, 0, 0, 0]);
    head.writeUInt32LE(json.length, 1);
    return Buffer.concat([head, Buffer.from(json), Buffer.from(binary)]);
  };

  it('this is how they are made', () => {
    expect(decode(text('[null,["v",0,3],null]', 'abc'))).toEqual(Buffer.from('abc'));
  });

  it.each([
    ['a text that is longer than all', Buffer.from([0x50, 0xff, 0xff, 0xff, 0xff, 0x31])],
    ['no text', Buffer.from([0x50])],
    ['a text that is no list of three', text('[null,1]')],
    ['an object of JSON', text('[null,{"a":1},null]')],
    ['a tag that there is not', text('[null,["zz"],null]')],
    ['a view that is longer than the rest', text('[null,["v",0,4],null]', 'abc')],
    ['a view of a negative length', text('[null,["v",0,-1],null]', 'abc')],
    ['a view of a kind that there is not', text('[null,["v",99,1],null]', 'abc')],
    ['a reference to what is not there', text('[null,["r",7],null]')],
    ['an error that is not there', text('[null,["e",0],null]')],
    ['heads that are none', text('[1,2,3]')],
    ['nesting without end', text(`[null,${'["s",'.repeat(100_000)}1${']'.repeat(100_000)},null]`)],
  ])('%s', (_, bytes) => {
    expect(() => decode(bytes)).toThrow();
  });

  it.each([1, 2, 3])('are refused, or read as something else, and nothing more happens (seed %i)', seed => {
    const next = numbers(seed);
    const intact = portable([
      new Map([[new Date(1), Buffer.from('abc')]]),
      1n,
      /a/g,
      new Error('x', { cause: 1 }),
      new Array(2),
    ]);
    let refused = 0;
    for (let i = 0; i < 1500; i++) {
      const bytes = Buffer.from(intact);
      for (let changes = 1 + next(4); changes > 0; changes--) {
        bytes[next(bytes.length)] = next(256);
      }
      try {
        decode(bytes.subarray(0, next(4) === 0 ? next(bytes.length) : bytes.length));
      } catch (error) {
        expect(error).toHaveProperty('message', expect.any(String));
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(300);
  });
});
