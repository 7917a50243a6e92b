/**
 * Values as bytes where the runtime has no `v8.Serializer`, as Bun: what structured clone would give, in a format of our own.
 * Every runtime reads it.
 *
 * ```text
 * room | 50 | length of the text (4 bytes) | text | bytes of views and buffers, in the order of the text
 *
 * text    [heads, value, rows]     heads and rows of the errors in the value (errorRows.ts), else null
 * value   "a", 1.5, true, null     as in JSON
 *         [tag, ...]               all else; so an array of the user's is `["a", ...]`, and nothing that a user writes is a tag
 * ```
 *
 * What is read is untrusted: each view takes its bytes from what is left of the input, and an object refers to those before it.
 */
import { types } from 'node:util';
import type { Copy } from './copy';
import { makeErrors, malformed } from './errorRows';
import { bytesOfView, kindOfView, viewOf } from './views';

/** The first byte, which V8's own format does not begin with. */
export const PORTABLE = 0x50;
const LENGTH = 4;

/** Stands for the error of that row, in a copy that is to be written here. */
export class PortableMark {
  constructor(readonly row: number) {}
}

/** A copy of a value as bytes, after `head` bytes that the caller fills in. */
export function toPortable(copy: Copy, head: number): Buffer {
  const writer = new Writer();
  const parts = [copy.errors?.heads ?? null, copy.value, copy.errors?.rows ?? null].map(each => writer.write(each));
  const text = Buffer.from(`[${parts.join()}]`);
  const start = Buffer.alloc(head + 1 + LENGTH);
  start[head] = PORTABLE;
  start.writeUInt32LE(text.length, head + 1);
  return Buffer.concat([start, text, ...writer.binaries]);
}

/** The value in `bytes`, without the head; see `fromBytes`. Throws when they are malformed. */
export function fromPortable(bytes: Buffer, owned: boolean): unknown {
  const begin = 1 + LENGTH;
  const end = begin + bytes.readUInt32LE(1);
  if (end > bytes.length) {
    throw malformed();
  }
  const parts: unknown = JSON.parse(bytes.toString('utf8', begin, end));
  if (!Array.isArray(parts) || parts.length !== 3) {
    throw malformed();
  }
  const reader = new Reader(bytes.subarray(end), owned);
  const heads = reader.read(parts[0]);
  const errors = heads === null ? undefined : makeErrors(heads);
  reader.errors = errors?.all ?? [];
  const value = reader.read(parts[1]);
  errors?.fill(reader.read(parts[2]), each => each);
  return value;
}

/** Makes text of what `Copy` gives. Not with JSON.stringify(), which would ask a `toJSON` that somebody has given to all arrays. */
class Writer {
  readonly binaries: Uint8Array[] = [];
  readonly #numbers = new Map<object, number>();

  write(value: unknown): string {
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return JSON.stringify(value);
      case 'number':
        return Number.isFinite(value) && !Object.is(value, -0) ? String(value) : tagged('n', this.write(nameOf(value)));
      case 'bigint':
        return tagged('i', String(value < 0n), JSON.stringify((value < 0n ? -value : value).toString(16)));
      case 'undefined':
        return tagged('u');
      default:
        return value === null ? 'null' : this.#writeObject(value as object);
    }
  }

  #writeObject(value: object): string {
    if (value instanceof PortableMark) {
      return tagged('e', String(value.row));
    }
    const known = this.#numbers.get(value);
    if (known !== undefined) {
      return tagged('r', String(known));
    }
    this.#numbers.set(value, this.#numbers.size);
    if (Array.isArray(value)) {
      const keys = Object.keys(value);
      // Without holes, and without anything but its elements.
      const isDense = keys.length === value.length && (keys.length === 0 || keys.at(-1) === String(value.length - 1));
      return isDense
        ? tagged('a', ...value.map(each => this.write(each)))
        : tagged('h', String(value.length), ...this.#fields(value, keys));
    }
    if (types.isMap(value)) {
      return tagged('m', ...[...value].flat(1).map(each => this.write(each)));
    }
    if (types.isSet(value)) {
      return tagged('s', ...[...value].map(each => this.write(each)));
    }
    if (types.isDate(value)) {
      return tagged('d', this.write(Date.prototype.getTime.call(value)));
    }
    if (types.isRegExp(value)) {
      return tagged('x', this.write(value.source), this.write(value.flags));
    }
    if (types.isBoxedPrimitive(value)) {
      return tagged('p', this.write((value as { valueOf(): unknown }).valueOf()));
    }
    if (ArrayBuffer.isView(value)) {
      return tagged('v', String(kindOfView(value)), this.#binary(bytesOfView(value)));
    }
    if (types.isArrayBuffer(value)) {
      const { resizable, maxByteLength } = value as ArrayBuffer & { resizable?: boolean; maxByteLength?: number };
      return tagged('b', this.#binary(new Uint8Array(value)), resizable ? String(maxByteLength) : 'null');
    }
    return tagged('o', ...this.#fields(value, Object.keys(value)));
  }

  #fields(value: object, keys: string[]): string[] {
    return keys.flatMap(key => [JSON.stringify(key), this.write((value as Record<string, unknown>)[key])]);
  }

  #binary(bytes: Uint8Array): string {
    // Of now: a getter or the caller may change them before they are sent.
    this.binaries.push(bytes.slice());
    return String(bytes.length);
  }
}

class Reader {
  errors: unknown[] = [];
  readonly #objects: object[] = [];
  #at = 0;

  constructor(
    private readonly binaries: Buffer,
    private readonly owned: boolean,
  ) {}

  read(json: unknown): unknown {
    if (!Array.isArray(json)) {
      if (typeof json === 'object' && json !== null) {
        throw malformed();
      }
      return json;
    }
    const [tag, ...rest] = json as [unknown, ...unknown[]];
    switch (tag) {
      case 'u':
        return undefined;
      case 'n':
        return Number(rest[0]);
      case 'i':
        return (rest[0] === true ? -1n : 1n) * BigInt(`0x${String(rest[1])}`);
      case 'r':
        return known(this.#objects, rest[0]);
      case 'e':
        return known(this.errors, rest[0]);
      case 'a':
        return this.#fill([] as unknown[], list => {
          for (const each of rest) {
            list.push(this.read(each));
          }
        });
      case 'h':
        return this.#fill([] as unknown[], list => {
          this.#readFields(list, rest.slice(1));
          list.length = Number(rest[0]);
        });
      case 'o':
        return this.#fill({}, object => this.#readFields(object, rest));
      case 'm':
        return this.#fill(new Map<unknown, unknown>(), map => {
          for (let i = 0; i + 1 < rest.length; i += 2) {
            map.set(this.read(rest[i]), this.read(rest[i + 1]));
          }
        });
      case 's':
        return this.#fill(new Set<unknown>(), set => {
          for (const each of rest) {
            set.add(this.read(each));
          }
        });
      case 'd':
        return this.#fill(new Date(Number(this.read(rest[0]))));
      case 'x':
        return this.#fill(new RegExp(String(rest[0]), String(rest[1])));
      case 'p':
        // A primitive: it has no number of its own.
        return this.#fill(Object(this.read(rest[0])) as object);
      case 'v':
        return this.#fill(viewOf(Number(rest[0]), this.#take(rest[1]), this.owned, this.binaries.length));
      case 'b':
        return this.#fill(this.#buffer(this.#take(rest[0]), rest[1]));
      default:
        throw malformed();
    }
  }

  /** An object has its number before what is in it. */
  #fill<T extends object>(object: T, fill?: (object: T) => void): T {
    this.#objects.push(object);
    fill?.(object);
    return object;
  }

  #readFields(object: object, fields: unknown[]): void {
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const value = this.read(fields[i + 1]);
      Object.defineProperty(object, String(fields[i]), { value, enumerable: true, writable: true, configurable: true });
    }
  }

  #take(length: unknown): Buffer {
    const end = this.#at + Number(length);
    if (!Number.isInteger(end) || end < this.#at || end > this.binaries.length) {
      throw malformed();
    }
    const part = this.binaries.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  #buffer(bytes: Buffer, maxByteLength: unknown): ArrayBuffer {
    const options = maxByteLength === null ? undefined : { maxByteLength: Number(maxByteLength) };
    const buffer = new (ArrayBuffer as new (length: number, options?: object) => ArrayBuffer)(bytes.length, options);
    new Uint8Array(buffer).set(bytes);
    return buffer;
  }
}

function tagged(tag: string, ...rest: string[]): string {
  return `[${[`"${tag}"`, ...rest].join()}]`;
}

function nameOf(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

function known(list: unknown[], number: unknown): unknown {
  const found = list[Number(number)];
  if (found === undefined) {
    throw malformed();
  }
  return found;
}
