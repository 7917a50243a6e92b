/** What the decorators share: checking what they stand on, and putting a method in another's place unnoticed. */
import { types } from 'node:util';
import { checkOptions, type OptionRule } from '../options';
import { mistake } from './mistake';
import type { AnyMethod } from './registry';

/** A legacy method decorator's descriptor, checked. */
export interface Decorated {
  owner: object;
  key: string;
  descriptor: PropertyDescriptor & { value: AnyMethod };
}

/** Throws `ERR_AGENT_DECORATOR`, naming what it stands on, unless that is an ordinary method. */
export function checkMethod(decorator: string, target: unknown, key: unknown, descriptor: unknown): Decorated {
  if (typeof key === 'object' && key !== null && 'kind' in key) {
    const { kind, name } = key as { kind: string; name?: string | symbol };
    throw mistake(
      `@${decorator}() on ${kind} '${String(name)}': this code is compiled with standard decorators. Midway and this ` +
        'package need legacy ones: set "experimentalDecorators": true and "emitDecoratorMetadata": true in ' +
        'compilerOptions (in swc: jsc.transform.legacyDecorator).',
    );
  }
  const on = (what: string) => mistake(`@${decorator}() stands on ${what}. It can only stand on a method.`);
  if (key === undefined) {
    throw on(typeof target === 'function' ? `the class ${target.name}` : 'something that is no method');
  }
  if (typeof target === 'function') {
    throw on(`the static member ${target.name}.${String(key)}`);
  }
  const name = `${(target as object).constructor.name}.${String(key)}`;
  if (typeof descriptor === 'number') {
    throw on(`a parameter of ${name}`);
  }
  const { value, get, set } = (descriptor ?? {}) as PropertyDescriptor;
  if (get || set) {
    throw on(`the accessor ${name}`);
  }
  if (typeof value !== 'function') {
    throw on(`the property ${name}`);
  }
  if (typeof key !== 'string') {
    throw mistake(`@${decorator}() stands on ${name}: a method named by a symbol has no name between processes.`);
  }
  return { owner: target as object, key, descriptor: descriptor as Decorated['descriptor'] };
}

/** `@RunInPrimary` without parentheses calls the factory itself with what a decorator gets. */
export function checkFactory(decorator: string, args: ArrayLike<unknown>): void {
  if (args.length > 1 || typeof args[0] === 'function') {
    throw mistake(`@${decorator} needs parentheses: @${decorator}().`);
  }
}

export function checkDecoratorOptions(decorator: string, options: unknown, rules: Record<string, OptionRule>): void {
  try {
    checkOptions(`@${decorator}()`, 'ERR_AGENT_DECORATOR', options, rules);
  } catch (error) {
    throw mistake((error as Error).message);
  }
}

/** Also of an async generator. */
export function isAsync(method: AnyMethod): boolean {
  return types.isAsyncFunction(method);
}

export function isAsyncGenerator(method: AnyMethod): boolean {
  return types.isGeneratorFunction(method) && types.isAsyncFunction(method);
}

/** Whether a method is declared to return a promise, as far as the compiler has told. */
export function returnsPromise({ owner, key }: { owner: object; key: string }): boolean {
  return Reflect.getMetadata?.('design:returntype', owner, key)?.name === 'Promise';
}

/** Puts `replacement` into the descriptor, with all that can be seen of the original. */
export function replace({ descriptor }: Decorated, replacement: AnyMethod): void {
  descriptor.value = copyLook(descriptor.value, replacement);
}

/** Gives `replacement` all that can be seen of the original: name, length, own properties, metadata. */
export function copyLook(original: AnyMethod, replacement: AnyMethod): AnyMethod {
  for (const key of Reflect.ownKeys(original)) {
    const property = Object.getOwnPropertyDescriptor(original, key);
    if (property && key !== 'prototype') {
      Object.defineProperty(replacement, key, property);
    }
  }
  for (const key of Reflect.getOwnMetadataKeys?.(original) ?? []) {
    Reflect.defineMetadata(key, Reflect.getOwnMetadata(key, original), replacement);
  }
  return replacement;
}
