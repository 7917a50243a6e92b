import { isElsewhere, liveMembership, runOwn, runsHere } from '../route';
import { state } from '../state';
import { markDecorated } from './registry';
import { checkFactory, checkMethod, isAsync, isAsyncGenerator, replace, returnsPromise } from './wrap';

/**
 * What `@OnlyInPrimary()` is, to the compiler: elsewhere the method returns `undefined`, or a promise of it, so it has to
 * be one that may; an async generator method returns a generator of nothing.
 */
export type OnlyInPrimaryDecorator = <T extends (...args: never[]) => unknown>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<T> & MayGiveNothing<ReturnType<T>>,
) => void;

/** The compiler's error shows the text. */
type MayGiveNothing<R> = [Awaited<R>] extends [never]
  ? unknown
  : undefined extends Awaited<R>
    ? unknown
    : R extends AsyncIterable<unknown>
      ? unknown
      : 'outside of the primary the method gives undefined: its result has to allow that';

/**
 * For handlers that every process's scheduler or queue calls: the body runs in the group's primary, and does nothing
 * elsewhere. Before the election an async method waits for it; a method that is not async does nothing.
 */
export function OnlyInPrimary(): OnlyInPrimaryDecorator {
  // biome-ignore lint/complexity/noArguments: there are no declared parameters, and parentheses may be missing.
  checkFactory('OnlyInPrimary', arguments);
  return (target, key, descriptor) => {
    const decorated = checkMethod('OnlyInPrimary', target, key, descriptor);
    const original = decorated.descriptor.value;
    const run = (self: unknown, args: never[]) =>
      state.watching > 0 ? runOwn(self, () => original.apply(self, args), false) : original.apply(self, args);
    const { asynchronous, streaming, plain } = {
      async asynchronous(this: unknown, ...args: never[]) {
        if (runsHere(this)) {
          return run(this, args);
        }
        if (isElsewhere(this) === undefined) {
          await liveMembership(this, decorated);
          return runsHere(this) ? run(this, args) : undefined;
        }
        return undefined;
      },
      async *streaming(this: unknown, ...args: never[]) {
        const stream = (await asynchronous.apply(this, args)) as AsyncGenerator | undefined;
        return stream && (yield* stream);
      },
      plain(this: unknown, ...args: never[]) {
        if (runsHere(this)) {
          return run(this, args);
        }
        // A caller of a method that returns a promise goes on with `.then`.
        return returnsPromise(decorated) ? asynchronous.apply(this, args) : undefined;
      },
    };
    markDecorated(decorated.owner);
    replace(decorated, isAsyncGenerator(original) ? streaming : isAsync(original) ? asynchronous : plain);
  };
}
