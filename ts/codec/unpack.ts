/** Reads packed values (packed.ts), which come from another process: nothing is believed of them. */
import { Dictionary } from './dictionary';
import { MAX_DEPTH, Tag } from './packed';

/** To cut strings that are shorter out of a Buffer takes longer than to put them together. */
const SHORT_TEXT = 16;

const NOTHING = Buffer.alloc(0);
let bytes: Buffer = NOTHING;
let at = 0;
let end = 0;

/** What an object has to have for the keys that were read: a copy of `blank` gets its values. */
interface Blank {
  keys: string[];
  blank: Record<string, unknown>;
}

const blanks = new Dictionary<Blank>(text => {
  const keys = text.split('\0');
  if (keys.pop() !== '' || keys.includes('__proto__')) {
    throw malformed();
  }
  return { keys, blank: Object.fromEntries(keys.map(key => [key, undefined])) };
});

/** The value that `pack` has written into `from` to `to`, which is not read again later. Throws when there is none. */
export function unpack(from: Buffer, start: number, to: number): unknown {
  bytes = from;
  at = start;
  end = to;
  try {
    const value = unpackOne(0);
    if (at !== end) {
      throw malformed();
    }
    return value;
  } finally {
    bytes = NOTHING;
  }
}

/** Whatever is not there is no tag. */
function unpackOne(depth: number): unknown {
  const tag = bytes[at++];
  if (tag < Tag.Short) {
    return tag;
  }
  if (tag < Tag.Undefined) {
    return unpackText(tag - Tag.Short);
  }
  switch (tag) {
    case Tag.Undefined:
      return undefined;
    case Tag.Null:
      return null;
    case Tag.False:
      return false;
    case Tag.True:
      return true;
    case Tag.Int: {
      const i = skip(4);
      return bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
    }
    case Tag.Double:
      return bytes.readDoubleLE(skip(8));
    case Tag.Text:
      return unpackText(unpackLength());
    case Tag.Wide: {
      const length = unpackLength();
      const i = skip(length);
      return bytes.toString('utf16le', i, i + length);
    }
    case Tag.List:
      return unpackList(depth);
    case Tag.Object:
      return unpackObject(depth);
  }
  throw malformed();
}

function unpackLength(): number {
  const i = skip(2);
  return bytes[i] | (bytes[i + 1] << 8);
}

function unpackText(length: number): string {
  const start = skip(length);
  if (length === 1) {
    return String.fromCharCode(bytes[start]);
  }
  if (length >= SHORT_TEXT) {
    return bytes.toString('latin1', start, start + length);
  }
  const units = UNITS[length];
  const from = bytes;
  for (let i = 0; i < length; i++) {
    units[i] = from[start + i];
  }
  return String.fromCharCode.apply(null, units);
}

/** A list for each length, to be filled. */
const UNITS: number[][] = Array.from({ length: SHORT_TEXT }, (_, length) => new Array(length).fill(0));

function unpackList(depth: number): unknown[] {
  const length = bytes[skip(1)];
  if (depth >= MAX_DEPTH) {
    throw malformed();
  }
  // A list that grows has room for seventeen from its first element on.
  switch (length) {
    case 0:
      return [];
    case 1:
      return [unpackOne(depth + 1)];
    case 2:
      return [unpackOne(depth + 1), unpackOne(depth + 1)];
    case 3:
      return [unpackOne(depth + 1), unpackOne(depth + 1), unpackOne(depth + 1)];
  }
  const list: unknown[] = [];
  for (let i = 0; i < length; i++) {
    list.push(unpackOne(depth + 1));
  }
  return list;
}

function unpackObject(depth: number): Record<string, unknown> {
  const length = bytes[skip(1)];
  if (length === 0) {
    return {};
  }
  const start = skip(length);
  if (depth >= MAX_DEPTH) {
    throw malformed();
  }
  const { keys, blank } = blanks.find(bytes, start, length);
  const object = { ...blank };
  for (let i = 0; i < keys.length; i++) {
    object[keys[i]] = unpackOne(depth + 1);
  }
  return object;
}

/** Where so many bytes begin that come next; they are there. */
function skip(count: number): number {
  const start = at;
  at += count;
  if (at > end) {
    throw malformed();
  }
  return start;
}

function malformed(): Error {
  return new Error('a packed value is malformed');
}
