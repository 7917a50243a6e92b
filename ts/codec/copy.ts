/**
 * A copy that structured clone takes. Objects that are no built-ins become what their `toJSON()` gives, else their own
 * enumerable fields; errors become marks, and rows beside the value. What can't be copied is refused, naming its path.
 * Shared references and cycles are kept.
 *
 * Each property is read once, here: V8 gets a copy that has no getters.
 */
import { types } from 'node:util';
import { ProcessAgentError } from '../agentError';
import { textOf } from '../guard';
import { ErrorRows } from './errorRows';
import { isError, isLeaf, isPlainObject, toJSONOf, whyFieldless, whyUncopyable } from './kinds';

/** V8 reads back about twice this depth before its stack ends, which would be too late to name a path. */
const MAX_DEPTH = 1000;

export class Copy {
  /** The errors in the value. */
  errors: ErrorRows | undefined;
  readonly value: unknown;
  readonly #copies = new Map<object, unknown>();
  readonly #path: (string | number)[] = [];
  #depth = 0;

  /** `what` names the value in errors; `mark` makes what stands for the error of a row. */
  constructor(
    value: unknown,
    private readonly what: string,
    private readonly mark: (row: number) => unknown,
  ) {
    try {
      this.value = this.#copy(value);
    } catch (error) {
      // The path is still that of the property, or the proxy, that could not be read.
      throw error instanceof Refusal ? error.reason : this.#refuse(`can't be read: ${textOf(error)}`, error).reason;
    }
    this.errors?.finish();
  }

  #copy(value: unknown): unknown {
    if (typeof value === 'function' || typeof value === 'symbol') {
      throw this.#refuse(`is a ${typeof value}`);
    }
    if (typeof value !== 'object' || value === null) {
      return value;
    }
    const known = this.#copies.get(value);
    if (known !== undefined) {
      return known;
    }
    if (this.#depth === MAX_DEPTH) {
      throw this.#refuse(`is nested in ${MAX_DEPTH} others, or without end`);
    }
    this.#depth++;
    const copy = isError(value) ? this.#noteError(value) : this.#copyObject(value);
    this.#depth--;
    return copy;
  }

  #noteError(error: Error): unknown {
    this.errors ??= new ErrorRows(this.mark, this.#copies);
    return this.errors.note(error);
  }

  #copyObject(value: object): unknown {
    const toJSON = toJSONOf(value);
    if (toJSON) {
      const json = this.#call(toJSON, value);
      if (json !== value) {
        const copy = this.#copy(json);
        this.#copies.set(value, copy);
        return copy;
      }
    }
    if (Array.isArray(value)) {
      return this.#copyArray(value);
    }
    if (isPlainObject(value)) {
      return this.#copyFields(value, Object.keys(value));
    }
    if (types.isMap(value)) {
      return this.#copyMap(value);
    }
    if (types.isSet(value)) {
      return this.#copySet(value);
    }
    const why = whyUncopyable(value);
    if (why) {
      throw this.#refuse(`is ${why}`);
    }
    if (isLeaf(value)) {
      return value;
    }
    const keys = Object.keys(value);
    const hidden = whyFieldless(value, keys.length);
    if (hidden) {
      throw this.#refuse(`is ${hidden}`);
    }
    return this.#copyFields(value, keys);
  }

  #call(toJSON: (key: string) => unknown, value: object): unknown {
    try {
      return toJSON.call(value, String(this.#path.at(-1) ?? ''));
    } catch (error) {
      throw this.#refuse(`can't be read: its toJSON() has thrown ${textOf(error)}`, error);
    }
  }

  #copyArray(value: unknown[]): unknown[] {
    // V8 takes arrays without holes twice as fast, and `new Array(length)` is one that had holes.
    const keys = Object.keys(value);
    const { length } = value;
    const isDense = length === 0 || keys[length - 1] === String(length - 1);
    const copy: unknown[] = isDense ? [] : new Array(length);
    this.#copies.set(value, copy);
    for (let i = 0; i < keys.length; i++) {
      const index = isDense && i < length ? i : keys[i];
      this.#path.push(index);
      const each = this.#copy(value[index as number]);
      this.#path.pop();
      if (typeof index === 'number') {
        copy.push(each);
      } else {
        define(copy, index, each);
      }
    }
    return copy;
  }

  #copyMap(value: Map<unknown, unknown>): Map<unknown, unknown> {
    const copy = new Map<unknown, unknown>();
    this.#copies.set(value, copy);
    let index = 0;
    // Not as a subclass of Map would have it.
    Map.prototype.forEach.call(value, (each, key) => {
      const keyCopy = this.#copyMember('keys', index, key);
      copy.set(keyCopy, this.#copyMember('values', index++, each));
    });
    return copy;
  }

  #copySet(value: Set<unknown>): Set<unknown> {
    const copy = new Set<unknown>();
    this.#copies.set(value, copy);
    let index = 0;
    Set.prototype.forEach.call(value, each => {
      copy.add(this.#copyMember('values', index++, each));
    });
    return copy;
  }

  #copyMember(kind: string, index: number, value: unknown): unknown {
    this.#path.push(kind, index);
    const copy = this.#copy(value);
    this.#path.length -= 2;
    return copy;
  }

  #copyFields(value: object, keys: string[]): Record<string, unknown> {
    const copy: Record<string, unknown> = {};
    this.#copies.set(value, copy);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i];
      this.#path.push(key);
      const each = this.#copy((value as Record<string, unknown>)[key]);
      this.#path.pop();
      if (key === '__proto__') {
        define(copy, key, each);
      } else {
        copy[key] = each;
      }
    }
    return copy;
  }

  #refuse(why: string, cause?: unknown): Refusal {
    const text = `${this.what}${this.#path.map(formatKey).join('')} ${why}`;
    return new Refusal(
      new ProcessAgentError('ERR_AGENT_NOT_SERIALIZABLE', `${shorten(text)}, which can't be sent to another process.`, {
        outcome: 'not-sent',
        cause,
      }),
    );
  }
}

/** Thrown through the copying, so that a user's error on the way is never taken for it. */
class Refusal {
  constructor(readonly reason: ProcessAgentError) {}
}

function define(on: object, key: string, value: unknown): void {
  Object.defineProperty(on, key, { value, enumerable: true, writable: true, configurable: true });
}

function formatKey(key: string | number): string {
  if (typeof key === 'number' || /^\d+$/.test(key)) {
    return `[${key}]`;
  }
  return /^[\p{L}_$][\p{L}\p{N}_$-]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function shorten(text: string): string {
  return text.length > 1000 ? `${text.slice(0, 400)} ... ${text.slice(-400)}` : text;
}
