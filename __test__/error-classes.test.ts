/** What an error keeps on its way, and which classes can be registered. */
import { types } from 'node:util';
import { runInNewContext } from 'node:vm';
import { z } from 'zod';
import { decode, encode } from '../ts/codec';
import { decodeError, encodeError, type PlainError, registerError } from '../ts/errors';

/** There and back through either codec. */
function travel(thrown: unknown, how: 'text' | 'bytes' = 'text') {
  const plain = encodeError(thrown);
  const arrived = how === 'text' ? decode(encode(plain, 'error')) : decode(encode([plain, 1n], 'error'));
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever arrives.
  return decodeError((how === 'text' ? arrived : (arrived as unknown[])[0]) as PlainError) as any;
}

function caught(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('Nothing was thrown.');
}

const hidden = (value: unknown): PropertyDescriptor => ({ value, enumerable: false });

/** Made as zod makes its errors: a function that gives an object of another class, and decides what is one of its own. */
function makeDeciding(name: string) {
  class Definition extends Error {}
  function Deciding(issues: unknown[]) {
    const error = new Definition(`${issues.length} issues`);
    return Object.defineProperties(error, { _of: hidden({ traits: new Set([name]) }), issues: hidden(issues) });
  }
  Object.defineProperty(Definition, 'name', { value: name });
  Object.defineProperty(Deciding, 'name', { value: name });
  Object.defineProperty(Deciding, Symbol.hasInstance, {
    value: (value?: { _of?: { traits?: Set<string> } }) => value?._of?.traits?.has(name) === true,
  });
  Object.defineProperty(Deciding.prototype, 'count', {
    get(this: { issues: unknown[] }) {
      return this.issues.length;
    },
  });
  return Deciding as unknown as new (
    issues: unknown[],
  ) => Error & { issues: unknown[]; count: number };
}

/** What `action` warns of. */
function warnings(action: () => void): { message: string; code?: string; name: string }[] {
  const told: { message: string; code?: string; name: string }[] = [];
  const emit = jest.spyOn(process, 'emitWarning').mockImplementation(((
    message: string,
    options: NodeJS.EmitWarningOptions,
  ) => {
    told.push({ message, code: options.code, name: options.type ?? '' });
  }) as typeof process.emitWarning);
  try {
    action();
  } finally {
    emit.mockRestore();
  }
  return told;
}

describe.each(['text', 'bytes'] as const)('of an error that goes as %s,', how => {
  it('own data properties that are not enumerable arrive, and are not enumerable', () => {
    const error = Object.defineProperties(new RangeError('a'), {
      issues: hidden([{ path: ['x'], inner: new TypeError('in') }]),
      code: hidden('E_HIDDEN'),
      state: hidden({ left: 3 }),
    });
    const arrived = travel(error, how);
    expect(arrived).toBeInstanceOf(RangeError);
    expect(arrived.issues).toMatchObject([{ path: ['x'], inner: { message: 'in' } }]);
    expect(arrived.issues[0].inner).toBeInstanceOf(TypeError);
    expect([arrived.code, arrived.state]).toEqual(['E_HIDDEN', { left: 3 }]);
    expect(Object.keys(arrived)).toEqual([]);
  });

  it('functions and symbols among them stay behind, and no accessor is run', () => {
    let ran = 0;
    const getter = {
      get() {
        ran++;
        return 1;
      },
    };
    const error = Object.defineProperties(new Error('a'), {
      format: hidden(() => 1),
      kind: hidden(Symbol('s')),
      asked: getter,
      [Symbol('named')]: hidden(1),
      kept: hidden(1),
    });
    const arrived = travel(error, how);
    expect(Object.getOwnPropertyNames(arrived).sort()).toEqual(['kept', 'message', 'stack']);
    expect(Object.getOwnPropertySymbols(arrived)).toEqual([]);
    expect(ran).toBe(0);
  });

  it('an `errors` that is no array arrives too, and one of an AggregateError as before', () => {
    const arrived = travel(Object.defineProperty(new Error('a'), 'errors', hidden({ name: ['too short'] })), how);
    expect(arrived.errors).toEqual({ name: ['too short'] });
    expect(travel(new AggregateError([1], 'b'), how).errors).toEqual([1]);
  });

  it('what leads back to the error, and what is shared, stays what it is', () => {
    const shared = { n: 1 };
    const error = new Error('a', { cause: { shared } });
    Object.defineProperties(error, { self: hidden({ error }), shared: hidden(shared) });
    const arrived = travel(error, how);
    expect(arrived.self.error).toBe(arrived);
    expect(arrived.cause.shared).toEqual({ n: 1 });
    expect(arrived.shared).toBe(arrived.cause.shared);
  });
});

describe('a ZodError', () => {
  const thrown = () => caught(() => z.object({ name: z.string().min(3), age: z.number() }).parse({ name: 'ab' }));

  it('arrives with its issues, and as a ZodError, also where nobody has registered it', () => {
    const arrived = travel(thrown());
    expect(arrived.issues).toEqual((thrown() as z.ZodError).issues);
    expect(arrived.issues).toHaveLength(2);
    expect(arrived).toBeInstanceOf(Error);
    expect(arrived instanceof z.ZodError).toBe(true);
    expect(z.flattenError(arrived as z.ZodError).fieldErrors).toHaveProperty('name');
    expect([arrived.name, arrived.message]).toEqual(['ZodError', (thrown() as Error).message]);
  });

  it('can be registered, and arrives as that class', () => {
    expect(warnings(() => registerError(z.ZodError))).toEqual([]);
    const arrived = travel(thrown());
    expect(arrived.constructor).toBe(z.ZodError);
    expect(arrived instanceof z.ZodError && arrived instanceof Error && types.isNativeError(arrived)).toBe(true);
    expect(arrived.issues).toHaveLength(2);
    expect(travel(new TypeError('other')).constructor).toBe(TypeError);
  });
});

describe('registerError()', () => {
  it('takes a class that decides by itself what is one of its instances', () => {
    const Deciding = makeDeciding('DecidingError');
    expect(warnings(() => registerError(Deciding))).toEqual([]);
    const arrived = travel(new Deciding([1, 2]));
    expect(arrived instanceof Deciding).toBe(true);
    expect(arrived).toBeInstanceOf(Error);
    expect([arrived.constructor, arrived.count, arrived.message]).toEqual([Deciding, 2, '2 issues']);
    expect(travel(new Error('other')) instanceof Deciding).toBe(false);
  });

  it('takes a class whose prototype does not name it, and a class of another realm', () => {
    function Old(this: Error) {}
    Old.prototype = Object.create(Error.prototype);
    const Foreign = runInNewContext('(class ForeignError extends TypeError { get isForeign() { return true; } })');
    expect(warnings(() => registerError(Old as never))).toEqual([]);
    expect(warnings(() => registerError(Foreign))).toEqual([]);
    expect(Object.getPrototypeOf(travel(Object.setPrototypeOf(new Error('a'), Old.prototype)))).toBe(Old.prototype);
    expect(travel(new Foreign('there'))).toMatchObject({ message: 'there', isForeign: true });
  });

  it('takes the same class again', () => {
    class Again extends Error {}
    expect(warnings(() => [registerError(Again), registerError(Again)])).toEqual([]);
    expect(travel(new Again('x'))).toBeInstanceOf(Again);
  });

  it('warns of a second class of one name, and leaves it out', () => {
    const First = class Same extends Error {};
    const Second = class Same extends Error {};
    registerError(First);
    expect(warnings(() => registerError(Second))).toEqual([
      {
        name: 'ProcessAgentWarning',
        code: 'ERR_AGENT_AMBIGUOUS',
        message: expect.stringContaining(
          "registerError(Same): another class is already registered as 'Same'; give one",
        ),
      },
    ]);
    expect(travel(new Second('x')).constructor).toBe(Error);
    expect(travel(new First('x'))).toBeInstanceOf(First);
    registerError(Second, 'Second');
    expect(travel(new Second('x'))).toBeInstanceOf(Second);
  });

  it.each<[string, () => unknown, string]>([
    ['a class of no errors', () => class Plain {}, 'registerError(Plain): its instances are no errors'],
    ['what is undefined, as in a circle of modules', () => undefined, 'registerError(undefined): this is no class.'],
    ['an arrow function', () => () => 1, 'this is no class.'],
    ['an error', () => new Error('x'), 'this is no class.'],
    ['a class without a name', () => class extends Error {}, 'a class without a name needs one as 2nd argument.'],
    [
      'a class of which any error is an instance',
      () => z.ZodRealError,
      'registerError(ZodError): by its Symbol.hasInstance',
    ],
    [
      'a class whose name throws',
      () =>
        Object.defineProperty(class extends Error {}, 'name', {
          get: () => {
            throw new Error('mine');
          },
        }),
      "it can't be read: Error: mine.",
    ],
    ['a revoked proxy', () => revoked(class extends Error {}), "it can't be read: TypeError"],
  ])('never throws: %s is a warning', (_, make, words) => {
    const [told, ...others] = warnings(() => registerError(make() as never));
    expect(others).toEqual([]);
    expect(told.message).toContain(words);
    expect(told.message).toContain('It is not registered');
    expect([told.name, told.code]).toEqual(['ProcessAgentWarning', 'ERR_AGENT_CONFIG']);
    // Nothing of it is left behind.
    expect(travel(new RangeError('x')).constructor).toBe(RangeError);
  });
});

function revoked(target: object): unknown {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}
