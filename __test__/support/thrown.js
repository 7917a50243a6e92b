// What methods throw, and what arrives. Plain JavaScript: processes without a compiler use it too. Classes are
// registered by whoever loads it, with the `registerError` of the package that it tests.
const assert = require('node:assert');
const { readFileSync } = require('node:fs');
const { runInNewContext } = require('node:vm');
const { httpError, MidwayError, MidwayHttpError, MidwayParameterError } = require('@midwayjs/core');

const constructed = { count: 0 };
class OrderError extends Error {
  constructor(order) {
    super(`order ${order.id}`);
    constructed.count++;
    this.orderId = order.id;
  }
  get isOrder() {
    return true;
  }
}
class LateOrderError extends OrderError {
  name = 'LateOrderError';
  days = 3;
}
class PaymentRequired extends MidwayHttpError {
  amount = 12;
  constructor() {
    super('pay', 402, 'PAY', { cause: new TypeError('card') });
  }
}
class UnknownTypeError extends TypeError {}
class Coded extends Error {
  get code() {
    return 'E_CODED';
  }
}
class Failure {
  #reason = 'hidden';
  toJSON() {
    return { reason: this.#reason };
  }
}

const caught = action => () => {
  try {
    action();
  } catch (error) {
    return error;
  }
};
const thrower = () => {
  throw new Error('thrown by the error');
};
const withProperty = (target, key, descriptor) =>
  Object.defineProperty(target, key, { configurable: true, ...descriptor });
const chain = (length, last) => Array.from({ length }).reduce((cause, _, i) => new Error(`${i}`, { cause }), last);
const GETTERS = ['stack', 'name', 'message', 'code', 'cause', 'errors', 'mine'];
const itself = (error, close) => close(error) ?? error;
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};
/** An object of a class, without its constructor. */
const like = (cls, message, fields = {}) =>
  Object.assign(Object.setPrototypeOf(new Error(message), cls.prototype), fields);
const fields = () => ({
  code: 'E_ALL',
  when: new Date(5),
  tags: new Map([['a', new Set([1, 2n])]]),
  bytes: Buffer.from('ü'),
  list: [undefined, null, -0, /a/g],
  boxed: Object(1),
});

function makeAxiosError() {
  const socket = { write() {}, key: Symbol('s'), pending: Promise.resolve(), parser: undefined };
  const request = { socket, headers: { accept: '*/*' }, timer: setTimeout(() => {}, 0).unref() };
  const config = { url: '/orders', transformRequest: [() => 1], signal: new AbortController().signal };
  const response = { status: 404, data: { error: 'gone' }, request, config };
  socket.parser = { socket, request };
  const error = Object.assign(new Error('Request failed'), { code: 'ERR_BAD_REQUEST', config, request, response });
  return Object.assign(error, { toJSON: () => ({ message: 'Request failed' }) });
}

// [name, make, what arrives if it is not the same].
const table = [
  ...[Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError].map(BuiltIn => [
    `a ${BuiltIn.name}`,
    () => new BuiltIn('no'),
  ]),
  ['an error without a message', () => new Error()],
  [
    'an AggregateError in another',
    () => new AggregateError([new TypeError('a'), new AggregateError(['b', 1, null], 'c')], 'd'),
  ],
  ['the reason of an AbortSignal', () => AbortSignal.abort().reason],
  ['a DOMException with a cause', () => new DOMException('no', { name: 'DataCloneError', cause: new Error('b') })],
  ['an AssertionError', caught(() => assert.deepStrictEqual({ a: 1 }, { a: 2 }))],
  ['an error of the file system', caught(() => readFileSync('/nowhere/at/all'))],
  [
    'an error of Node, of a class that it keeps for itself',
    caught(() => Buffer.alloc('x')),
    () => {
      const { message, code } = caught(() => Buffer.alloc('x'))();
      return Object.assign(new TypeError(message), { code });
    },
  ],
  ['an error of JSON', caught(() => JSON.parse('{'))],
  ['a MidwayError', () => new MidwayError('no', 'MIDWAY_10001', { cause: new Error('why') })],
  ['a MidwayError without anything', () => new MidwayError('no')],
  ['a MidwayHttpError', () => new MidwayHttpError('no', 418)],
  ['a MidwayParameterError', () => new MidwayParameterError('no')],
  ...['BadRequestError', 'NotFoundError', 'ForbiddenError', 'InternalServerErrorError'].map(name => [
    `a ${name}`,
    () => new httpError[name]('no'),
  ]),
  [
    'a subclass of MidwayHttpError that nobody has registered',
    () => new PaymentRequired(),
    () =>
      Object.assign(new MidwayHttpError('pay', 402, 'PAY', { cause: new TypeError('card') }), {
        name: 'PaymentRequired',
        amount: 12,
      }),
  ],
  ['a registered class whose constructor needs arguments', () => new OrderError({ id: 7 })],
  [
    'a subclass of a registered class',
    () => new LateOrderError({ id: 8 }),
    () => like(OrderError, 'order 8', { orderId: 8, name: 'LateOrderError', days: 3 }),
  ],
  ['a subclass of a built-in', () => new UnknownTypeError('no'), () => new TypeError('no')],
  ['an error of another realm', () => runInNewContext('new RangeError("there")'), () => new RangeError('there')],
  [
    'an error of a class of another realm',
    () => runInNewContext('Object.assign(new (class Odd extends TypeError {})("there"), { a: [1] })'),
    () => Object.assign(new TypeError('there'), { a: [1] }),
  ],
  [
    'a frozen error',
    () => Object.freeze(Object.assign(new Error('a'), { n: 1 })),
    () => Object.assign(new Error('a'), { n: 1 }),
  ],
  ['fields of every kind', () => Object.assign(new Error('a'), fields())],
  [
    'functions and symbols, which stay behind',
    () => Object.assign(new Error('a'), { retry() {}, s: Symbol('s'), in: { f: () => 1, n: 1 }, list: [() => 1, 2] }),
    () => Object.assign(new Error('a'), { in: { n: 1 }, list: Object.assign(new Array(2), { 1: 2 }) }),
  ],
  [
    'what can not be copied, which stays behind',
    () =>
      Object.assign(new Error('a'), {
        promise: Promise.resolve(),
        shared: new Uint8Array(new SharedArrayBuffer(1)),
        query: new URLSearchParams(),
      }),
    () => new Error('a'),
  ],
  ['errors in its fields', () => Object.assign(new Error('a'), { all: { failures: [new RangeError('in')] } })],
  [
    'errors in a Map and a Set',
    () => Object.assign(new Error('a'), { m: new Map([[new Error('k'), new Set([new TypeError('v')])]]) }),
  ],
  [
    'instances in its fields',
    () => Object.assign(new Error('a'), { at: new Coded('b'), url: new URL('http://a/'), f: new Failure() }),
    () =>
      Object.assign(new Error('a'), {
        at: withProperty(new Error('b'), 'code', { value: 'E_CODED' }),
        url: 'http://a/',
        f: { reason: 'hidden' },
      }),
  ],
  ['its own errors', () => Object.assign(new Error('a'), { errors: [{ path: 'x' }, new Error('b')] })],
  [
    'a code by a getter of its class',
    () => new Coded('a'),
    () => withProperty(new Error('a'), 'code', { value: 'E_CODED' }),
  ],
  ['a status that is not enumerable', () => withProperty(new Error('a'), 'status', { value: 404 })],
  ['a name of its own', () => Object.assign(new Error('a'), { name: 'Mine' })],
  ['a name that is not enumerable', () => withProperty(new Error('a'), 'name', { value: 'Mine' })],
  [
    'a name and a message that are no strings',
    () => Object.assign(new Error('a'), { name: 7, message: { text: ['a'] } }),
  ],
  ['a message changed later', () => Object.assign(new Error('a'), { message: 'b' })],
  ['a message of a million characters', () => new Error('ü'.repeat(1_000_000))],
  [
    'getters that throw',
    () => Object.defineProperties(new Error('a'), Object.fromEntries(GETTERS.map(key => [key, { get: thrower }]))),
    () => new Error(),
  ],
  ['a cause that is no error', () => new Error('a', { cause: { plain: [1] } })],
  ['a cause that is null', () => new Error('a', { cause: null })],
  ['a cause 500 deep', () => chain(500, 'the end')],
  ['a cause that is the error', () => itself(new Error('a'), e => Object.assign(e, { cause: e }))],
  [
    'causes in a circle',
    () => itself(new Error('a'), e => withProperty(e, 'cause', { value: new Error('b', { cause: e }) })),
  ],
  [
    'a field that leads back',
    () => itself(new Error('a'), e => Object.assign(e, { job: { error: e, list: [{ e }] } })),
  ],
  ['a proxy of an error', () => new Proxy(new TypeError('a'), {}), () => new TypeError('a')],
  ['undefined', () => undefined],
  ['null', () => null],
  ['a string', () => 'no'],
  ['an empty string', () => ''],
  ['a number', () => 404],
  ['minus zero', () => -0],
  ['a BigInt', () => 10n],
  ['an object', () => ({ code: 1, nested: { list: [1] } })],
  ['an object that looks like a description', () => ({ thrown: 1, heads: [], rows: [] })],
  ['an object that looks like a mark', () => ({ $processAgentError: 0 })],
  ['an object without a prototype', () => Object.assign(Object.create(null), { a: 1 }), () => ({ a: 1 })],
  ['an object with methods', () => ({ code: 1, retry() {} }), () => ({ code: 1 })],
  ['an instance with toJSON', () => new Failure(), () => ({ reason: 'hidden' })],
  ['a date', () => new Date(5)],
  ['a Map', () => new Map([['a', { b: 1 }]])],
  [
    'marks of no error beside an error',
    () => [new Error('a'), { $processAgentError: 5 }, { $processAgentError: 0, b: 1 }],
  ],
  ['an array of errors', () => [new Error('a'), [new TypeError('b')]]],
  ['an object around an error', () => ({ error: new RangeError('a') })],
];

/** Also thrown, but what arrives is an error that says why it can't: of this text. */
const untold = [
  ['a function', () => () => 1, 'a function'],
  ['a symbol', () => Symbol('s'), 'a symbol'],
  ['a proxy that is revoked', () => revoked(), 'a proxy'],
  ['a weak collection', () => new WeakMap(), 'a weak collection'],
];

module.exports = {
  thrown: table.map(([name, make, arrives = make]) => ({ name, make, arrives })),
  untold: untold.map(([name, make, reason]) => ({ name, make, reason })),
  axios: makeAxiosError,
  constructed,
  OrderError,
};
