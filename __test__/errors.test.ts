import { AssertionError } from 'node:assert';
import { types } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { httpError, MidwayHttpError } from '@midwayjs/core';
import { decodeError, encodeError, ProcessAgentError, registerError } from '../ts/errors';

/** There and back through a real encoding, as between two processes. */
function travel(thrown: unknown, calledFrom?: string) {
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever arrives.
  return decodeError(deserialize(serialize(encodeError(thrown))), calledFrom) as any;
}

let constructed = 0;
class OrderError extends Error {
  readonly orderId: number;
  constructor(orderId: number) {
    super(`order ${orderId}`);
    constructed++;
    this.orderId = orderId;
  }
  get isOrder() {
    return true;
  }
}
registerError(OrderError);

describe('an error that travels', () => {
  it.each([TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, Error])(
    'arrives as %p',
    BuiltIn => {
      const arrived = travel(new BuiltIn('no'));
      expect(arrived).toBeInstanceOf(BuiltIn);
      expect(arrived.constructor).toBe(BuiltIn);
      expect(types.isNativeError(arrived)).toBe(true);
      expect(arrived.message).toBe('no');
      expect(String(arrived)).toBe(`${BuiltIn.name}: no`);
      expect(Object.keys(arrived)).toEqual([]);
    },
  );

  it('arrives as the registered class, made without its constructor', () => {
    const error = new OrderError(7);
    const before = constructed;
    const arrived = travel(error);
    expect(constructed).toBe(before);
    expect(arrived).toBeInstanceOf(OrderError);
    expect(arrived.orderId).toBe(7);
    expect(arrived.isOrder).toBe(true);
  });

  it('arrives as one of Midway classes, with code and status', () => {
    const arrived = travel(new httpError.NotFoundError('gone'));
    expect(arrived).toBeInstanceOf(httpError.NotFoundError);
    expect(arrived).toMatchObject({ message: 'gone', status: 404, code: new httpError.NotFoundError('').code });
  });

  it('of an unknown class arrives as its nearest known ancestor, with everything but the class', () => {
    class PaymentRequired extends MidwayHttpError {
      readonly amount = 12;
      constructor() {
        super('pay', 402, 'PAY');
        this.name = 'PaymentRequired';
      }
    }
    const arrived = travel(new PaymentRequired());
    expect(arrived).toBeInstanceOf(MidwayHttpError);
    expect(arrived).not.toBeInstanceOf(PaymentRequired);
    expect(arrived).toMatchObject({ name: 'PaymentRequired', message: 'pay', status: 402, code: 'PAY', amount: 12 });
  });

  it('is never taken for a known class that only has the same name', () => {
    const thrown = new (class NotFoundError extends Error {})('mine');
    const arrived = travel(thrown);
    expect(arrived).not.toBeInstanceOf(httpError.NotFoundError);
    expect(arrived.constructor).toBe(Error);
    const namesake = travel(new (class OrderError extends Error {})('mine'));
    expect(namesake).not.toBeInstanceOf(OrderError);
  });

  it('brings its cause, and the cause of that', () => {
    const arrived = travel(new Error('a', { cause: new TypeError('b', { cause: { plain: [1] } }) }));
    expect(arrived.cause).toBeInstanceOf(TypeError);
    expect(arrived.cause.cause).toEqual({ plain: [1] });
    expect(Object.keys(arrived)).toEqual([]);
  });

  it('brings the errors of an AggregateError', () => {
    const arrived = travel(new AggregateError([new OrderError(1), 'text'], 'both'));
    expect(arrived).toBeInstanceOf(AggregateError);
    expect(arrived.errors[0]).toBeInstanceOf(OrderError);
    expect(arrived.errors[1]).toBe('text');
  });

  it('brings own fields, with errors inside them, and leaves out what cannot travel', () => {
    const error = Object.assign(new Error('no'), {
      when: new Date(5),
      tags: new Map([['a', new Set([1])]]),
      bytes: Buffer.from('ü'),
      inner: { failures: [new RangeError('in')] },
      money: { toJSON: () => '12.00 EUR' },
      send: () => 1,
      sign: Symbol('s'),
    });
    const arrived = travel(error);
    expect(arrived.when).toEqual(new Date(5));
    expect(arrived.tags).toEqual(new Map([['a', new Set([1])]]));
    expect(Buffer.from(arrived.bytes).toString()).toBe('ü');
    expect(arrived.inner.failures[0]).toBeInstanceOf(RangeError);
    expect(arrived.money).toBe('12.00 EUR');
    expect(arrived.send).toBeUndefined();
    expect(arrived.sign).toBeUndefined();
  });

  it('survives cycles, endless chains and getters that throw', () => {
    const error = new Error('round') as Error & Record<string, unknown>;
    error.cause = error;
    error.self = { error, more: {} };
    (error.self as { more: unknown }).more = error.self;
    Object.defineProperty(error, 'status', {
      get() {
        throw new Error('getter');
      },
    });
    const arrived = travel(error);
    expect(arrived.cause.message).toBe('round');
    let wide: unknown = new Error('leaf');
    for (let i = 0; i < 50; i++) {
      wide = new AggregateError([wide, wide, wide]);
    }
    expect(serialize(encodeError(wide)).length).toBeLessThan(1_000_000);
  });

  it('does not let fields reach the prototype', () => {
    const error = Object.assign(new Error('x'), JSON.parse('{"a": {"__proto__": {"polluted": true}}}'));
    Object.defineProperty(error, '__proto__', { value: { polluted: true }, enumerable: true });
    const arrived = travel(error);
    expect(arrived).toBeInstanceOf(Error);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('shows the stack of both processes', () => {
    const error = new Error('deep');
    error.stack = 'Error: deep\n    at there (/srv/primary.js:1:1)';
    const arrived = travel(error, 'Error: call\n    at here (/srv/worker.js:2:2)');
    expect(arrived.stack).toBe(
      'Error: deep\n    at there (/srv/primary.js:1:1)\n' +
        `    --- called from pid ${process.pid} ---\n    at here (/srv/worker.js:2:2)`,
    );
  });

  it('keeps a node error: its code, and the built-in that it extends', () => {
    let thrown: unknown;
    try {
      Buffer.alloc('x' as never);
    } catch (err) {
      thrown = err;
    }
    const arrived = travel(thrown);
    expect(arrived).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE', name: 'TypeError' });
    expect(travel(new AssertionError({ actual: 1, expected: 2, operator: '===' }))).toMatchObject({
      actual: 1,
      expected: 2,
      code: 'ERR_ASSERTION',
    });
  });

  it('of another realm arrives as the built-in of its name', () => {
    const arrived = travel(runInNewContext('new TypeError("other realm")'));
    expect(arrived).toBeInstanceOf(TypeError);
    expect(arrived.message).toBe('other realm');
  });

  it('of the agent keeps code and outcome', () => {
    const arrived = travel(new ProcessAgentError('ERR_AGENT_TIMEOUT', 'late', { outcome: 'unknown' }));
    expect(arrived).toBeInstanceOf(ProcessAgentError);
    expect(arrived).toMatchObject({ name: 'ProcessAgentError', code: 'ERR_AGENT_TIMEOUT', outcome: 'unknown' });
  });

  it.each([['text'], [undefined], [null], [0], [10n], [{ code: 1 }], [{ chain: ['node:Error'] }]])(
    'need not be an error: %p arrives as it is',
    thrown => {
      expect(travel(thrown)).toEqual(thrown);
    },
  );
});
