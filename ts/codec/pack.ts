/** Writes packed values (packed.ts). Each property is read once here, so that what was checked is what is sent. */

import { latin1Of } from './dictionary';
import { isPlainArray, isPlainObject } from './kinds';
import { LARGEST_PACKED, LONGEST, MAX_DEPTH, Tag } from './packed';

/** Shorter strings have their length in their tag. */
const SHORT_TEXTS = Tag.Undefined - Tag.Short;
/** Strings from this length on are copied by Node, which costs more to ask and less to do. */
const LONG_TEXT = 32;
/** Most objects in a value: to look through a list of these is faster than a Set. */
const FEW = 64;
/** Longest list of objects: most of those that are longer have more in all. */
const FEW_IN_LIST = 16;
/** Most sets of keys that are kept. */
const MOST_SHAPES = 1000;
/** Places for those that were met last. */
const RECENT = 64;

const NOTHING = Buffer.alloc(0);
/** Where a function is to tell that a value can't be packed, instead of where it ends. */
const NOWHERE = -1;
let bytes: Buffer = NOTHING;
let end = 0;
let busy = false;
/** The objects that were met, so many of them. A list of its own for each value would be most of what a call allocates. */
const met: (object | undefined)[] = new Array(FEW).fill(undefined);
let count = 0;

/** A value is being packed: a getter of its that makes a call must not write where this one does. */
export function isPacking(): boolean {
  return busy;
}

/**
 * Packs a value into `into`, which has to have `LARGEST_PACKED` bytes left, from `from` on. Returns where it ends, or 0
 * when it can't be packed. `isList`: it is a list of arguments, made by the call, of which only the elements count.
 */
export function pack(value: unknown, isList: boolean, into: Buffer, from: number): number {
  if (busy) {
    return 0;
  }
  busy = true;
  bytes = into;
  end = from + LARGEST_PACKED;
  try {
    const at = isList ? packElements(value as unknown[], 0, from) : packOne(value, 0, from);
    return at > 0 && at <= end ? at : 0;
  } catch {
    // A getter has thrown. Structured clone meets it too, and knows its path.
    return 0;
  } finally {
    bytes = NOTHING;
    while (count > 0) {
      met[--count] = undefined;
    }
    busy = false;
  }
}

/**
 * These functions write from `at` on, and return where they have come to: a place that is counted in a variable of the
 * module takes twice as long. What is beyond the buffer is not written; that it was too much is found in the end.
 */
function packOne(value: unknown, depth: number, at: number): number {
  // No switch: for one V8 makes a string of the type, and compares that.
  if (typeof value === 'string') {
    return packText(value, at);
  }
  if (typeof value === 'number') {
    return packNumber(value, at);
  }
  if (typeof value !== 'object' || value === null) {
    return packWord(value, at);
  }
  if (depth >= MAX_DEPTH || count === FEW) {
    return NOWHERE;
  }
  for (let i = 0; i < count; i++) {
    if (met[i] === value) {
      return NOWHERE;
    }
  }
  met[count++] = value;
  if (!Array.isArray(value)) {
    return packObject(value as Record<string, unknown>, depth, at);
  }
  return value.length <= LONGEST && isPlainArray(value) ? packElements(value, depth, at) : NOWHERE;
}

function packWord(value: unknown, at: number): number {
  const word = WORDS.get(value);
  bytes[at] = word ?? 0;
  return word === undefined ? NOWHERE : at + 1;
}

const WORDS = new Map<unknown, number>([
  [undefined, Tag.Undefined],
  [null, Tag.Null],
  [false, Tag.False],
  [true, Tag.True],
]);

function packNumber(value: number, at: number): number {
  const int = value | 0;
  if (int !== value || (int === 0 && 1 / value < 0)) {
    bytes[at] = Tag.Double;
    return at + 9 <= end ? bytes.writeDoubleLE(value, at + 1) : NOWHERE;
  }
  if (int >= 0 && int < Tag.Short) {
    bytes[at] = int;
    return at + 1;
  }
  bytes[at] = Tag.Int;
  bytes[at + 1] = int;
  bytes[at + 2] = int >> 8;
  bytes[at + 3] = int >> 16;
  bytes[at + 4] = int >> 24;
  return at + 5;
}

function packText(text: string, at: number): number {
  const { length } = text;
  if (length >= LONG_TEXT) {
    return packLongText(text, at);
  }
  const into = bytes;
  into[at] = Tag.Short + length;
  const first = at + 1;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0xff) {
      return packWide(text, at);
    }
    into[first + i] = unit;
  }
  return first + length;
}

function packLongText(text: string, at: number): number {
  const { length } = text;
  if (at + length > end) {
    return NOWHERE;
  }
  if (Buffer.byteLength(text) !== length) {
    return packWide(text, at);
  }
  let start = at + 1;
  if (length < SHORT_TEXTS) {
    bytes[at] = Tag.Short + length;
  } else {
    start = packHead(Tag.Text, length, at);
  }
  return start + bytes.write(text, start, 'latin1');
}

/** Also one with halves of pairs. */
function packWide(text: string, at: number): number {
  const size = text.length * 2;
  if (at + 3 + size > end) {
    return NOWHERE;
  }
  const start = packHead(Tag.Wide, size, at);
  return start + bytes.write(text, start, 'utf16le');
}

function packHead(tag: number, length: number, at: number): number {
  bytes[at] = tag;
  bytes[at + 1] = length;
  bytes[at + 2] = length >> 8;
  return at + 3;
}

function packElements(value: unknown[], depth: number, start: number): number {
  const { length } = value;
  if (length > LONGEST || (length > FEW_IN_LIST && typeof value[0] === 'object')) {
    return NOWHERE;
  }
  bytes[start] = Tag.List;
  bytes[start + 1] = length;
  let at = start + 2;
  for (let i = 0; i < length; i++) {
    const each = value[i];
    if (at > end || (each === undefined && !Object.hasOwn(value, i))) {
      return NOWHERE;
    }
    at = packOne(each, depth + 1, at);
    if (at === NOWHERE) {
      return NOWHERE;
    }
  }
  return at;
}

function packObject(value: Record<string, unknown>, depth: number, start: number): number {
  if (!isPlainObject(value)) {
    return NOWHERE;
  }
  const keys = Object.keys(value);
  const shape = shapeOf(keys);
  const { length } = shape;
  const into = bytes;
  let at = start + 2;
  if (length > LONGEST || at + length > end) {
    return NOWHERE;
  }
  into[start] = Tag.Object;
  into[start + 1] = length;
  for (let i = 0; i < length; i++) {
    into[at + i] = shape[i];
  }
  at += length;
  for (let i = 0; i < keys.length; i++) {
    const each = value[keys[i]];
    // A getter may have deleted what comes after it.
    if (at > end || (each === undefined && !Object.hasOwn(value, keys[i]))) {
      return NOWHERE;
    }
    at = packOne(each, depth + 1, at);
    if (at === NOWHERE) {
      return NOWHERE;
    }
  }
  return at;
}

/** Keys as bytes; `TOO_LONG` when they can't be packed. The same keys come again and again. */
class Shape {
  constructor(
    readonly keys: string[],
    readonly bytes: Uint8Array,
  ) {}
}

const TOO_LONG = new Uint8Array(LONGEST + 1);
const recentShapes: (Shape | undefined)[] = new Array(RECENT).fill(undefined);
const allShapes = new Map<string, Shape>();

function shapeOf(keys: string[]): Uint8Array {
  const { length } = keys;
  if (length === 0) {
    return NOTHING;
  }
  if (length > LONGEST) {
    return TOO_LONG;
  }
  const place = (length * 31 + keys[0].length * 7 + keys[length - 1].length) % RECENT;
  const recent = recentShapes[place];
  if (recent !== undefined && recent.keys.length === length) {
    let i = 0;
    while (i < length && recent.keys[i] === keys[i]) {
      i++;
    }
    if (i === length) {
      return recent.bytes;
    }
  }
  const shape = findShape(keys);
  if (shape.bytes !== TOO_LONG) {
    recentShapes[place] = shape;
  }
  return shape.bytes;
}

function findShape(keys: string[]): Shape {
  const text = `${keys.join('\0')}\0`;
  let shape = allShapes.get(text);
  if (shape === undefined || shape.keys.length !== keys.length) {
    shape = new Shape(keys, shapeBytes(keys, text));
    if (allShapes.size < MOST_SHAPES && text.length <= LONGEST) {
      allShapes.set(text, shape);
    }
  }
  return shape;
}

function shapeBytes(keys: string[], text: string): Uint8Array {
  const isReadable = text.length <= LONGEST && !keys.some(key => key === '__proto__' || key.includes('\0'));
  return (isReadable ? latin1Of(text) : undefined) ?? TOO_LONG;
}
