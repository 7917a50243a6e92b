/** Async iterables: how they are known, and how those of another process look to callers. */
import { types } from 'node:util';
import { ProcessAgentError } from './errors';

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof (value as Partial<AsyncIterable<unknown>> | null | undefined)?.[Symbol.asyncIterator] === 'function';
}

/** A stream whose body runs where it is read. Others are passed as the objects that they are. */
export function isAsyncGeneratorObject(value: unknown): value is AsyncGenerator {
  return types.isGeneratorObject(value) && isAsyncIterable(value);
}

/**
 * What an async generator method of the primary gives to a caller elsewhere. `call` is made at the first `next()`, as
 * the body of a generator begins to run only then; a generator that is returned before makes no call.
 */
export async function* streamOf(name: string, call: () => Promise<unknown>): AsyncGenerator<unknown, unknown, unknown> {
  const stream = await call();
  if (!isAsyncIterable(stream)) {
    throw new ProcessAgentError(
      'ERR_AGENT_UNKNOWN_METHOD',
      `${name} returned no async iterable in the primary, which may run another version of the application.`,
      { outcome: 'executed' },
    );
  }
  return yield* stream;
}

/**
 * Lets `for await` loop over the promise of an async iterable: a method that is not async returns the iterable itself
 * in the primary, and callers elsewhere must not have to know.
 */
export function iterable<T extends Promise<unknown>>(name: string, promise: T): T {
  // Not enumerable: to all who print, copy or compare it, it is a promise.
  return Object.defineProperty(promise, Symbol.asyncIterator, { value: () => streamOf(name, () => promise) });
}

/** The same iterable, whose body runs within `enter`: a generator's body runs where `next()` is called. */
export function within(stream: AsyncIterable<unknown>, enter: <T>(run: () => T) => T): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      const inner = enter(() => stream[Symbol.asyncIterator]());
      const outer: AsyncIterator<unknown> = { next: (...args) => enter(() => inner.next(...args)) };
      if (inner.return) {
        outer.return = value =>
          enter(() => (inner.return as (value: unknown) => Promise<IteratorResult<unknown>>)(value));
      }
      if (inner.throw) {
        outer.throw = error =>
          enter(() => (inner.throw as (error: unknown) => Promise<IteratorResult<unknown>>)(error));
      }
      return outer;
    },
  };
}

/** The same stream, of which somebody has to know the end. */
export async function* ending(
  stream: AsyncIterable<unknown>,
  end: () => void,
): AsyncGenerator<unknown, unknown, unknown> {
  try {
    return yield* stream;
  } finally {
    end();
  }
}

/** `result`, or what it is a promise of, with `change` done to it if it is an async iterable. */
export function overStream(
  result: unknown,
  change: (stream: AsyncIterable<unknown>) => AsyncIterable<unknown>,
): unknown {
  if (types.isPromise(result)) {
    return result.then(value => (isAsyncIterable(value) ? change(value) : value));
  }
  return isAsyncIterable(result) ? change(result) : result;
}
