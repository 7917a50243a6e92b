import { types } from 'node:util';
import { decode, encode } from '../ts/codec';
import { decodeError, encodeError, type PlainError, ProcessAgentError, registerError } from '../ts/errors';
import { difference } from './support/same';
import { axios, constructed, OrderError, thrown, untold } from './support/thrown';

registerError(OrderError);

const asText = (value: unknown) => decode(encode(encodeError(value), 'error')) as PlainError;
const asBytes = (value: unknown) => (decode(encode([encodeError(value), 1n], 'error')) as [PlainError])[0];

describe('what is thrown arrives as it was, in both codecs:', () => {
  it.each(thrown.map(each => [each.name, each] as const))('%s', (_, { make, arrives }) => {
    expect(difference(decodeError(asText(make())), arrives())).toBeUndefined();
    expect(difference(decodeError(asBytes(make())), arrives())).toBeUndefined();
  });

  it('there are enough of them', () => {
    expect(thrown.length).toBeGreaterThan(60);
    expect(new Set(thrown.map(each => each.name)).size).toBe(thrown.length);
  });

  it('a small one goes as text', () => {
    expect(typeof encode(encodeError(new TypeError('a')), 'error')).toBe('string');
  });

  it('no constructor of a user runs', () => {
    const error = new OrderError({ id: 1 });
    const before = constructed.count;
    const arrived = decodeError(asText(error));
    expect(arrived).toBeInstanceOf(OrderError);
    expect(types.isNativeError(arrived)).toBe(true);
    expect(constructed.count).toBe(before);
  });
});

describe('what cannot travel at all arrives as an error that says so:', () => {
  it.each(untold.map(each => [each.name, each] as const))('%s', (_, { make, reason }) => {
    const arrived = decodeError(asText(make()));
    expect(arrived).toBeInstanceOf(ProcessAgentError);
    expect(arrived).toMatchObject({
      code: 'ERR_AGENT_NOT_SERIALIZABLE',
      outcome: 'executed',
      message: `The method has thrown ${reason}, which can't be sent to another process.`,
    });
  });
});

describe('an error with half the process in its fields', () => {
  it('arrives without the half', () => {
    const arrived = decodeError(asText(axios())) as Error & Record<string, never>;
    expect(arrived).toMatchObject({
      message: 'Request failed',
      code: 'ERR_BAD_REQUEST',
      config: { url: '/orders' },
      response: { status: 404, data: { error: 'gone' } },
    });
    expect(Object.keys(arrived)).not.toContain('toJSON');
    expect(arrived.config).not.toHaveProperty('signal');
    expect((arrived.response as { config: unknown }).config).toBe(arrived.config);
    const { socket } = arrived.request as unknown as { socket: { parser: { request: unknown } } };
    expect(Object.keys(socket)).toEqual(['parser']);
    expect(socket.parser.request).toBe(arrived.request);
  });

  it('is bounded in depth and number', () => {
    const wide = (depth: number): object => (depth === 0 ? {} : Array.from({ length: 12 }, () => wide(depth - 1)));
    const before = Date.now();
    const size = encode(encodeError(Object.assign(new Error('a'), { wide: wide(5), deep: wide(0) })), 'error').length;
    expect(size).toBeLessThan(200_000);
    let deep: object = { last: true };
    for (let i = 0; i < 1000; i++) {
      deep = { deep };
    }
    expect(JSON.stringify(encodeError(Object.assign(new Error('a'), { deep })))).not.toContain('last');
    expect(Date.now() - before).toBeLessThan(5000);
  });

  it('is bounded when a getter gives another error each time', () => {
    class Endless extends Error {
      override get cause() {
        return new Endless('again');
      }
    }
    let arrived = decodeError(asText(new Endless('first'))) as Error;
    let count = 0;
    while (arrived instanceof Error) {
      arrived = arrived.cause as Error;
      count++;
    }
    expect(count).toBe(1001);
    expect(arrived).toBe('Error: again');
  });
});

describe('a description that nobody of this package has written', () => {
  it.each<[unknown]>([
    [null],
    ['text'],
    [{ thrown: 1, heads: 1 }],
    [{ thrown: { $processAgentError: 0 }, heads: [null], rows: [] }],
    [{ thrown: { $processAgentError: 0 }, heads: [{ chain: 'x', name: 1 }], rows: [] }],
    [{ thrown: { $processAgentError: 0 }, heads: [{ chain: ['__proto__', 'node:Error'], name: 'a', message: 'b' }] }],
    [{ thrown: { $processAgentError: 7 }, heads: [{ chain: [], name: 'a', message: 'b' }], rows: [7] }],
  ])('%j throws nothing where it is read', plain => {
    expect(() => decodeError(plain as PlainError, 'stack')).not.toThrow();
  });

  it('cannot reach a prototype', () => {
    const fields = JSON.parse('{"__proto__": {"polluted": 1}, "constructor": 1, "toString": 2}');
    const row = { fields, hidden: fields, shown: ['__proto__', 'name'] };
    const head = { chain: ['node:Error'], name: 'Error', message: 'x' };
    const arrived = decodeError({ thrown: { $processAgentError: 0 }, heads: [head], rows: [row] });
    expect(Object.getPrototypeOf(arrived)).toBe(Error.prototype);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});
