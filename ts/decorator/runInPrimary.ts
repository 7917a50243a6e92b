import type { RunInPrimaryOptions } from '../interface';
import { BOOLEAN, type OptionRule, TIMEOUT } from '../options';
import { callPrimary, runHere, runsHere } from '../route';
import { state } from '../state';
import { iterable, streamOf } from '../stream';
import { type AnyMethod, type DecoratedMethod, readableName, registerMethod } from './registry';
import {
  checkDecoratorOptions,
  checkFactory,
  checkMethod,
  isAsync,
  isAsyncGenerator,
  replace,
  returnsPromise,
} from './wrap';

/** What `@RunInPrimary()` is, to the compiler. */
export interface PrimaryMethodDecorator {
  <T extends (...args: never[]) => Promise<unknown> | AsyncIterable<unknown>>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<T>,
  ): void;
  /** @deprecated Outside the primary the method returns a promise, which its type does not say: make it async. */
  (target: object, key: string | symbol, descriptor: PropertyDescriptor): void;
}

const RULES: Record<keyof RunInPrimaryOptions, OptionRule> = {
  name: {
    allowed: "a string of 1 to 200 characters that does not begin with '#', '*', '&' or '!'",
    test: value => typeof value === 'string' && /^[^#*&!]/.test(value) && value.length <= 200,
  },
  timeout: TIMEOUT,
  idempotent: BOOLEAN,
};

/**
 * Runs the method in the group's primary, wherever it is called. In the primary itself, and in a process that is alone,
 * it runs as it is. Everywhere else it returns a promise of what it returned (or threw) there; an async generator method
 * returns an async generator of what it yielded there.
 */
export function RunInPrimary(options: RunInPrimaryOptions = {}): PrimaryMethodDecorator {
  // biome-ignore lint/complexity/noArguments: the declared parameters hide that the parentheses are missing.
  checkFactory('RunInPrimary', arguments);
  checkDecoratorOptions('RunInPrimary', options, RULES);
  return (target: object, key: string | symbol, descriptor: PropertyDescriptor) => {
    const decorated = checkMethod('RunInPrimary', target, key, descriptor);
    const { owner, key: name } = decorated;
    const original = decorated.descriptor.value;
    const method: Mutable<DecoratedMethod> = { kind: 'primary', owner, key: name, original, options: { ...options } };
    const wrapper = wrapperOf(method);
    if (isAsync(original) && !isAsyncGenerator(original)) {
      method.forms = { asynchronous: wrapper, direct: directOf(method, wrapper) };
    }
    registerMethod(method);
    replace(decorated, wrapper);
  };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The same as `asynchronous`, of which a call makes no promise (direct.ts). */
function directOf(method: DecoratedMethod, asynchronous: AnyMethod): AnyMethod {
  return {
    direct(this: unknown, ...args: never[]) {
      try {
        if (!runsHere(this)) {
          return callPrimary(method, this, args);
        }
      } catch (error) {
        return Promise.reject(error);
      }
      return asynchronous.apply(this, args);
    },
  }.direct;
}

/** Async for async: Midway's aspects and pipes look. Methods of a literal, because a method has no `prototype`. */
function wrapperOf(method: DecoratedMethod): AnyMethod {
  const { original } = method;
  const { asynchronous, streaming, plain, undeclared } = {
    async asynchronous(this: unknown, ...args: never[]) {
      if (runsHere(this)) {
        return state.watching > 0 ? runHere(method, this, args) : original.apply(this, args);
      }
      // Awaited, so that the stack of an error shows who called.
      return await callPrimary(method, this, args);
    },
    async *streaming(this: unknown, ...args: never[]) {
      return yield* runsHere(this)
        ? (runHere(method, this, args) as AsyncGenerator)
        : streamOf(readableName(method), () => callPrimary(method, this, args));
    },
    plain(this: unknown, ...args: never[]) {
      if (runsHere(this)) {
        return state.watching > 0 ? runHere(method, this, args) : original.apply(this, args);
      }
      return callPrimary(method, this, args);
    },
    /** Not declared to return a promise: whoever loops over what it returns can do so with the promise, too. */
    undeclared(this: unknown, ...args: never[]) {
      if (runsHere(this)) {
        return state.watching > 0 ? runHere(method, this, args) : original.apply(this, args);
      }
      return iterable(readableName(method), callPrimary(method, this, args));
    },
  };
  if (isAsyncGenerator(original)) {
    return streaming;
  }
  if (isAsync(original)) {
    return asynchronous;
  }
  return returnsPromise(method) ? plain : undeclared;
}
