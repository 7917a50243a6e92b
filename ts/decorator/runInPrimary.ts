import { ProcessAgentError } from '../errors';
import type { RunInPrimaryOptions } from '../interface';
import { callPrimary, runsHere } from '../route';
import { type DecoratedMethod, isRegistered, markDecorated, registerMethod } from './registry';
import { checkFactory, checkMethod, isAsync, replace } from './wrap';

/** What `@RunInPrimary()` and `@OnlyInPrimary()` are, to the compiler. */
export interface PrimaryMethodDecorator {
  <T extends (...args: never[]) => Promise<unknown> | AsyncIterable<unknown>>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<T>,
  ): void;
  /** @deprecated Outside the primary the method returns a promise, which its type does not say: make it async. */
  (target: object, key: string | symbol, descriptor: PropertyDescriptor): void;
}

const OPTIONS = {
  name: (value: unknown) =>
    typeof value === 'string' && /^[^#]/.test(value) && value.length <= 200
      ? undefined
      : "a string of 1 to 200 characters that does not begin with '#'",
  timeout: (value: unknown) =>
    Number.isInteger(value) && (value as number) > 0 && (value as number) < 2 ** 31
      ? undefined
      : 'a whole number of milliseconds from 1 to 2147483647',
  idempotent: (value: unknown) => (typeof value === 'boolean' ? undefined : 'true or false'),
} satisfies Record<keyof RunInPrimaryOptions, unknown>;

/**
 * Runs the method in the group's primary, wherever it is called. In the primary itself, and in a process that is alone,
 * it runs as it is. Everywhere else it returns a promise of what it returned (or threw) there.
 */
export function RunInPrimary(options: RunInPrimaryOptions = {}): PrimaryMethodDecorator {
  // biome-ignore lint/complexity/noArguments: the declared parameters hide that the parentheses are missing.
  checkFactory('RunInPrimary', arguments);
  checkOptions(options);
  return (target: object, key: string | symbol, descriptor: PropertyDescriptor) => {
    const decorated = checkMethod('RunInPrimary', target, key, descriptor);
    if (isRegistered(decorated.owner, decorated.key)) {
      throw new ProcessAgentError(
        'ERR_AGENT_DECORATOR',
        `@RunInPrimary() stands twice on ${target.constructor.name}.${decorated.key}.`,
      );
    }
    const original = decorated.descriptor.value;
    const method: DecoratedMethod = { owner: decorated.owner, key: decorated.key, original, options: { ...options } };
    registerMethod(method);
    markDecorated(decorated.owner);
    // Async for async: Midway's aspects and pipes look. Methods of a literal, because a method has no `prototype`.
    const { asynchronous, plain } = {
      async asynchronous(this: unknown, ...args: never[]) {
        // Awaited, so that the stack of an error shows who called.
        return runsHere(this) ? original.apply(this, args) : await callPrimary(method, this, args);
      },
      plain(this: unknown, ...args: never[]) {
        return runsHere(this) ? original.apply(this, args) : callPrimary(method, this, args);
      },
    };
    replace(decorated, isAsync(original) ? asynchronous : plain);
  };
}

function checkOptions(options: RunInPrimaryOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new ProcessAgentError('ERR_AGENT_DECORATOR', '@RunInPrimary() takes an object of options, or nothing.');
  }
  for (const [key, value] of Object.entries(options)) {
    if (!Object.hasOwn(OPTIONS, key)) {
      throw new ProcessAgentError(
        'ERR_AGENT_DECORATOR',
        `@RunInPrimary() has no option '${key}'. Options: ${Object.keys(OPTIONS).join(', ')}.`,
      );
    }
    const allowed = value === undefined ? undefined : OPTIONS[key as keyof typeof OPTIONS](value);
    if (allowed) {
      throw new ProcessAgentError('ERR_AGENT_DECORATOR', `@RunInPrimary(): ${key} must be ${allowed}.`);
    }
  }
}
