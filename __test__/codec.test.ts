import { decode, type Encoded, encode, sizeOf } from '../ts/codec';
import { ProcessAgentError } from '../ts/errors';
import { refused } from './support/refused';
import { difference } from './support/same';
import { beside, differs, values } from './support/values';

function isText(encoded: Encoded): boolean {
  return typeof encoded === 'string';
}

function refusal(action: () => unknown): ProcessAgentError {
  try {
    action();
  } catch (err) {
    expect(err).toBeInstanceOf(ProcessAgentError);
    return err as ProcessAgentError;
  }
  throw new Error('It was accepted.');
}

describe('a value arrives as it was:', () => {
  it.each(values.map((each, index) => [each.name, index] as const))('%s', (_, index) => {
    const { make, isPlain } = values[index];
    const encoded = encode([make()], 'args');
    expect(isText(encoded)).toBe(isPlain);
    const [argument] = decode(encoded) as unknown[];
    expect(differs(index, argument)).toBeUndefined();
    expect(differs(index, decode(encode(make(), 'result')))).toBeUndefined();
    // The other way.
    const structured = encode(beside(make()), 'result');
    expect(isText(structured)).toBe(false);
    expect(differs(index, (decode(structured) as unknown[])[0])).toBeUndefined();
    expect(differs(index, (decode(structured, true) as unknown[])[0])).toBeUndefined();
  });

  it('there are enough of them', () => {
    expect(values.length).toBeGreaterThan(100);
    expect(new Set(values.map(each => each.name)).size).toBe(values.length);
  });
});

describe('what cannot be copied is refused by its path:', () => {
  it.each(refused.map(each => [each.name, each] as const))('%s', (_, { make, reason }) => {
    const error = refusal(() => encode([0, make()], 'args'));
    expect(error).toMatchObject({ code: 'ERR_AGENT_NOT_SERIALIZABLE', outcome: 'not-sent' });
    expect(error.message).toContain(`args[1]${reason}`);
    expect(error.message).toMatch(/, which can't be sent to another process\.$/);
    expect(refusal(() => encode(make(), 'result')).message).toContain(`result${reason}`);
  });

  it('with what was thrown on the way as the cause', () => {
    const thrown = new Error('mine');
    const value = {
      toJSON() {
        throw thrown;
      },
    };
    expect(refusal(() => encode([value], 'args')).cause).toBe(thrown);
  });

  it('and an error stays short, however deep it is', () => {
    let value: unknown = () => 1;
    for (let i = 0; i < 900; i++) {
      value = { [`key${i}`]: value };
    }
    const { message } = refusal(() => encode(value, 'result'));
    expect(message).toMatch(/^result\.key899\.key898.* \.\.\. .*\.key0 is a function/);
    expect(message.length).toBeLessThan(1000);
  });
});

describe('getters and toJSON()', () => {
  it.each([1, 100])('are asked once, and what they said is sent, in an object among %i', count => {
    let asked = 0;
    const fields = {
      get a() {
        return ++asked === 1 ? 1 : () => 1;
      },
    };
    const list = Array.from({ length: count }, () => ({}));
    expect(decode(encode([fields, ...list], 'args'))).toEqual([{ a: 1 }, ...list]);
    expect(asked).toBe(1);
  });

  it('may encode something themselves', () => {
    const inner: Encoded[] = [];
    const fields = {
      get a() {
        inner.push(encode([{ b: [1] }], 'args'));
        return {};
      },
    };
    const shared = {};
    const arrived = decode(encode([shared, fields, shared], 'args')) as unknown[];
    expect(arrived).toEqual([{}, { a: {} }, {}]);
    expect(arrived[2]).toBe(arrived[0]);
    expect(decode(inner[0])).toEqual([{ b: [1] }]);
  });

  it.each([Object, Array, String, Number, Boolean, BigInt, Date, Map, Error])(
    'that somebody has given to all of %p have no say',
    BuiltIn => {
      const make = () => [
        [{ a: 'x', b: [1, true, new Array(2)] }],
        new Date(5),
        new Map([[1, Object('s')]]),
        new Error('e'),
      ];
      const plain = () => ({ a: ['x', 1, true, { b: null }], list: Array.from({ length: 100 }, (_, i) => ({ i })) });
      const prototype = BuiltIn.prototype as { toJSON?: unknown };
      const before = Object.getOwnPropertyDescriptor(prototype, 'toJSON');
      Object.defineProperty(prototype, 'toJSON', { value: () => 'replaced', configurable: true, writable: true });
      try {
        for (const each of [make, plain, () => 5n, () => [1, 2]]) {
          expect(difference(decode(encode(each(), 'result')), each())).toBeUndefined();
        }
      } finally {
        before ? Object.defineProperty(prototype, 'toJSON', before) : delete prototype.toJSON;
      }
    },
  );
});

describe('a list of arguments', () => {
  it.each([0, 100])('may be among them, beside %i objects', count => {
    for (const within of [(list: unknown) => list, (list: unknown) => ({ list: [list] })]) {
      const list: unknown[] = Array.from({ length: count }, (_, i) => ({ i }));
      list.push(within(list));
      const arrived = decode(encode(list, 'args')) as unknown[];
      expect(arrived).toHaveLength(count + 1);
      expect(difference(arrived, list)).toBeUndefined();
    }
  });

  it('is text whatever else it has', () => {
    const [list, none] = [Object.assign([{ a: 1 }], { extra: 1 }), Object.assign([], { extra: 1 })];
    expect([encode(list, 'args'), encode(none, 'args')]).toEqual(['[{"a":1}]', '[]']);
    expect(difference(decode(encode(list, 'result')), list)).toBeUndefined();
  });
});

describe('a copy', () => {
  it('is taken when it is encoded', () => {
    const bytes = Buffer.from('a');
    const value = [{ a: 1 }, new Map([[1, bytes]])];
    const encoded = encode(value, 'args');
    bytes[0] = 0;
    (value[0] as { a: number }).a = 2;
    expect(difference(decode(encoded), [{ a: 1 }, new Map([[1, Buffer.from('a')]])])).toBeUndefined();
  });

  it('shares no memory with what it was decoded from, unless that was given away', () => {
    for (const bytes of [Buffer.alloc(100_000, 1), new Uint8Array(100_000).fill(1)]) {
      const encoded = encode([bytes], 'args') as Buffer;
      const [arrived] = decode(encoded) as [Uint8Array];
      encoded.fill(7);
      expect(arrived[0]).toBe(1);
    }
  });

  it('of a large Buffer is a view of bytes that were given away, of a small one is not', () => {
    const large = encode([Buffer.alloc(100_000, 1), Buffer.from('small')], 'args') as Buffer;
    const [kept, copied] = decode(large, true) as Buffer[];
    expect(kept.buffer).toBe(large.buffer);
    expect(copied.buffer).not.toBe(large.buffer);
    // Of many none is large enough to keep the others for.
    const many = encode([Array.from({ length: 20 }, () => Buffer.alloc(5_000))], 'args') as Buffer;
    for (const each of (decode(many, true) as Buffer[][])[0]) {
      expect(each.buffer).not.toBe(many.buffer);
    }
  });

  it('of a typed array has a buffer of its own, and nothing else is in it', () => {
    const numbers = new Float64Array(Array.from({ length: 1000 }, (_, i) => i)).subarray(10, 990);
    const [arrived] = decode(encode([numbers], 'args'), true) as Float64Array[];
    expect(arrived.byteOffset).toBe(0);
    expect(arrived.buffer.byteLength).toBe(980 * 8);
  });

  it('of a part of a Buffer holds nothing of the rest', () => {
    const secret = Buffer.from('secret, public, secret');
    expect((encode([secret.subarray(8, 14)], 'args') as Buffer).includes('secret')).toBe(false);
  });
});

describe('bytes', () => {
  it.each([0, 1, 7, 300])('leave room for a head of %i', room => {
    const encoded = encode([new Date(5), '中'.repeat(3), new Error('e')], 'args', room) as Buffer;
    encoded.fill(0xff, 0, room);
    expect(difference(decode(encoded.subarray(room)), [new Date(5), '中'.repeat(3), new Error('e')])).toBeUndefined();
  });

  it('are counted, text at most three times', () => {
    expect(sizeOf(Buffer.alloc(10), 5)).toBe(10);
    expect(sizeOf('"ab"', 100)).toBe(12);
    expect(sizeOf('"ü"', 3)).toBe(4);
  });
});
