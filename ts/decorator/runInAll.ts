import { types } from 'node:util';
import { callAll } from '../all';
import type { RunInAllOptions } from '../interface';
import { GATHER_RULES } from '../options';
import { mistake } from './mistake';
import { type DecoratedMethod, readableName, registerMethod } from './registry';
import { checkDecoratorOptions, checkFactory, checkMethod, isAsync, replace } from './wrap';

/** What `@RunInAll()` is, to the compiler: there is no one result, so a method has none. */
export type AllMethodDecorator = <T extends (...args: never[]) => Promise<void>>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<T>,
) => void;

/**
 * Runs the method in every member of the group, the caller's process included, and returns when all have finished.
 * Rejects with `ERR_AGENT_PARTIAL`, which has the outcome of each, when it failed in any of them.
 */
export function RunInAll(options: RunInAllOptions = {}): AllMethodDecorator {
  // biome-ignore lint/complexity/noArguments: the declared parameters hide that the parentheses are missing.
  checkFactory('RunInAll', arguments);
  checkDecoratorOptions('RunInAll', options, GATHER_RULES);
  return (target, key, descriptor) => {
    const decorated = checkMethod('RunInAll', target, key, descriptor);
    const { owner, key: name } = decorated;
    const original = decorated.descriptor.value;
    const method: DecoratedMethod = { kind: 'all', owner, key: name, original, options: { ...options } };
    if (types.isGeneratorFunction(original)) {
      // Its body runs where it is read, and that is nowhere.
      throw mistake(`@RunInAll() stands on ${readableName(method)}, a generator, which nobody would read.`);
    }
    registerMethod(method);
    const { asynchronous, plain } = {
      async asynchronous(this: unknown, ...args: never[]) {
        await callAll(method, this, args);
      },
      plain(this: unknown, ...args: never[]) {
        return callAll(method, this, args);
      },
    };
    replace(decorated, isAsync(original) ? asynchronous : plain);
  };
}
