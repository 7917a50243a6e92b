/** Which methods are decorated, kept on the prototypes that declare them. */
import { types } from 'node:util';
import type { RunInPrimaryOptions } from '../interface';
import { mistake } from './mistake';

// biome-ignore lint/complexity/noBannedTypes: a class of the user's, of which only the prototype and name matter.
export type AnyClass = Function & { prototype: object };
export type AnyMethod = (this: unknown, ...args: never[]) => unknown;

/** Where a decorated method runs: `@RunInPrimary()`, or `@RunInAll()`. */
export type MethodKind = 'primary' | 'all';

export const DECORATORS: Record<MethodKind, string> = { primary: 'RunInPrimary', all: 'RunInAll' };

/** One method under `@RunInPrimary()` or `@RunInAll()`. */
export interface DecoratedMethod {
  readonly kind: MethodKind;
  /** The prototype that declares it. */
  readonly owner: object;
  readonly key: string;
  /** The method as the user wrote it: what runs for a caller in another process. */
  readonly original: AnyMethod;
  readonly options: RunInPrimaryOptions;
  /** What may stand in its place, if there is more than one. */
  readonly forms?: Forms;
}

/** Both do the same; which one stands there has the look of the method. */
export interface Forms {
  /** An async function, as the method is one. */
  readonly asynchronous: AnyMethod;
  /** A function that returns a promise. */
  readonly direct: AnyMethod;
}

// Registered symbols, because a second copy of this package in the process must see the same methods. The number
// changes with the shape of what is kept.
const METHODS = Symbol.for('@midwayjs/process-agent:methods:3');
const MARK = Symbol.for('@midwayjs/process-agent:decorated:1');

interface Marked {
  [METHODS]?: Map<string, DecoratedMethod>;
  [MARK]?: true;
}

/** Throws `ERR_AGENT_DECORATOR` when the method is decorated already. */
export function registerMethod(method: DecoratedMethod): void {
  const owner = method.owner as Marked;
  if (!Object.hasOwn(owner, METHODS)) {
    Object.defineProperty(owner, METHODS, { value: new Map() });
  }
  const decorator = `@${DECORATORS[method.kind]}()`;
  const other = owner[METHODS]?.get(method.key);
  if (other) {
    throw mistake(
      other.kind === method.kind
        ? `${decorator} stands twice on ${readableName(method)}.`
        : `${decorator} stands on ${readableName(method)}, as @${DECORATORS[other.kind]}() does: only one of them can.`,
    );
  }
  owner[METHODS]?.set(method.key, method);
  markDecorated(owner);
}

/** Notes that instances of this prototype ask which application they belong to. */
export function markDecorated(owner: object): void {
  if (!Object.hasOwn(owner, MARK)) {
    Object.defineProperty(owner, MARK, { value: true });
  }
}

/** Whether the object's class, or an ancestor of it, has a decorated method. */
export function isDecorated(instance: object): boolean {
  return (instance as Marked)[MARK] === true;
}

/** Every decorated method that `cls` declares or inherits; a method and those that it overrides: most derived first. */
export function methodsOf(cls: AnyClass): Map<string, DecoratedMethod[]> {
  const methods = new Map<string, DecoratedMethod[]>();
  for (let proto: Marked | null = cls.prototype; proto; proto = Object.getPrototypeOf(proto)) {
    if (Object.hasOwn(proto, METHODS)) {
      for (const [key, method] of proto[METHODS] ?? []) {
        const overridden = methods.get(key);
        if (overridden) {
          overridden.push(method);
        } else {
          methods.set(key, [method]);
        }
      }
    }
  }
  return methods;
}

/** The class that `self` is an object of, as far as `method` is concerned. */
export function classOf(self: unknown, method: DecoratedMethod): AnyClass {
  // Not its prototype: Midway breaks dependency cycles with proxies, which forward properties only.
  const cls = (self as { constructor?: AnyClass } | null | undefined)?.constructor;
  const known = typeof cls === 'function' && (cls.prototype === method.owner || isBelow(cls, method.owner));
  return known ? cls : (method.owner.constructor as AnyClass);
}

function isBelow(cls: AnyClass, owner: object): boolean {
  return Object.prototype.isPrototypeOf.call(owner, cls.prototype ?? null);
}

/** `Class.method`, for messages. */
export function readableName(method: DecoratedMethod): string {
  return `${method.owner.constructor.name}.${method.key}`;
}

/** Whether a method is declared to return what only the primary can return as it is. */
export function returnsPlainValue({ kind, owner, key, original }: DecoratedMethod): boolean {
  if (kind !== 'primary' || types.isGeneratorFunction(original)) {
    return false;
  }
  const type: unknown = Reflect.getMetadata?.('design:returntype', owner, key);
  // Without an annotation nothing is known: `undefined`, or Object for an interface.
  return (
    typeof type === 'function' &&
    type.name !== 'Promise' &&
    type !== Object &&
    !('then' in type.prototype || Symbol.asyncIterator in type.prototype)
  );
}
