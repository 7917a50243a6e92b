/** Views and Buffers on the wire: each as the bytes that it shows. */
import { malformed } from './errorRows';

/** A view's kind on the wire is its place here; the last are not in every version of Node. */
const VIEWS = [
  'Buffer',
  'DataView',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Float16Array',
];

/** A smaller Buffer is copied out of the bytes that it came in, rather than keep all of them. */
const MIN_VIEW = 4096;

const viewTag = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)
  ?.get as () => string | undefined;

/** Throws when it is of a kind that is not known. */
export function kindOfView(view: ArrayBufferView): number {
  const name = Buffer.isBuffer(view) ? 'Buffer' : (viewTag.call(view) ?? 'DataView');
  const kind = VIEWS.indexOf(name);
  if (kind < 0) {
    throw new TypeError(`${name} is not known`);
  }
  return kind;
}

export function bytesOfView(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/**
 * The view of that kind with these bytes, which are a part of `all` that came in. `owned`: nobody else looks at them, and a
 * large Buffer may stay where it is.
 */
export function viewOf(kind: number, bytes: Buffer, owned: boolean, all: number): object {
  if (kind === 0) {
    const keep = owned && bytes.length >= MIN_VIEW && bytes.length * 2 >= all;
    return keep ? bytes : Buffer.from(bytes);
  }
  const View = (globalThis as unknown as Record<string, new (buffer: ArrayBufferLike) => object>)[VIEWS[kind]];
  if (!View) {
    throw malformed();
  }
  // In a buffer of its own, as one would expect of `view.buffer`; and aligned.
  return new View(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}
