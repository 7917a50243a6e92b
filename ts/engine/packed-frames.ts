/**
 * The payloads of frames whose values are packed (codec/packed.ts): entries, one behind the other, each with its length
 * first.
 *
 * ```text
 * calls      u16 length | u32 id | u8 length of name | name, Latin-1 | arguments, a packed list
 *            the same with 128 more for the length of the name | a packed list of what travels beside it, and arguments
 * replies    u16 length | u32 id | u8 status | a packed value
 * ```
 *
 * They may lie in memory that the next frame is read into.
 */

import { Dictionary, latin1Of } from '../codec/dictionary';
import { isPacking, pack } from '../codec/pack';
import { unpack } from '../codec/unpack';
import type { Chunk, Chunks, Packed } from './chunks';
import type { Carrier } from './engine';
import { type CallSink, type Calls, isCarrier, malformed, type ReplySink } from './wire';

const ID = 2;
const HEAD = 6;
const LONGEST_NAME = 127;
/** Stands in the length of a name, beside it, where a carrier comes before the arguments. */
const CARRIER = 128;
const MOST_NAMES = 1000;

const nameBytes = new Map<string, Buffer | undefined>();
let lastName: string | undefined;
let lastNameBytes: Buffer | undefined;

/** Names as JavaScript has them, by their bytes: making a string, and looking for it, takes longer. */
const names = new Dictionary<string>(name => name);

/** A call as an entry that has no number yet; `undefined` when it has to go another way. */
export function packCall(chunks: Chunks, name: string, args: unknown[], carrier?: Carrier): Packed | undefined {
  const known = bytesOf(name);
  const chunk = known && !isPacking() ? chunks.open() : undefined;
  if (!known || !chunk) {
    return undefined;
  }
  const { bytes, used } = chunk;
  const { length } = known;
  let at = used + HEAD;
  bytes[at++] = carrier === undefined ? length : length + CARRIER;
  for (let i = 0; i < length; i++) {
    bytes[at++] = known[i];
  }
  if (carrier === undefined) {
    return keep(chunks, chunk, used, pack(args, true, bytes, at));
  }
  // What is not a text, JSON leaves out.
  const to = isCarrier(carrier) ? pack([carrier, args], true, bytes, at) : 0;
  return keep(chunks, chunk, used, to);
}

/** Gives a packed call its number. */
export function setId({ bytes, from }: Packed, id: number): void {
  writeId(bytes, from + ID, id);
}

/** The arguments of a packed call. */
export function argsOf({ bytes, from, to }: Packed): unknown[] {
  const length = bytes[from + HEAD];
  const args = unpack(bytes, from + HEAD + 1 + (length & ~CARRIER), to) as unknown[];
  return length >= CARRIER ? (args[1] as unknown[]) : args;
}

/** A reply as an entry; `undefined` when it has to go another way. */
export function packReply(chunks: Chunks, id: number, status: number, value: unknown): Packed | undefined {
  const chunk = isPacking() ? undefined : chunks.open();
  if (!chunk) {
    return undefined;
  }
  const { bytes, used } = chunk;
  writeId(bytes, used + ID, id);
  bytes[used + HEAD] = status;
  return keep(chunks, chunk, used, pack(value, false, bytes, used + HEAD + 1));
}

/** The number of the call that a packed reply belongs to. */
export function idOf({ bytes, from }: Packed): number {
  return readId(bytes, from + ID);
}

/** The status of a packed reply. */
export function statusOf({ bytes, from }: Packed): number {
  return bytes[from + HEAD];
}

/** `to`: where the value ends, 0 if there is none. */
function keep(chunks: Chunks, chunk: Chunk, from: number, to: number): Packed | undefined {
  if (to === 0) {
    return undefined;
  }
  const { bytes } = chunk;
  const length = to - from - ID;
  bytes[from] = length;
  bytes[from + 1] = length >> 8;
  return chunks.keep(chunk, from, to);
}

function bytesOf(name: string): Buffer | undefined {
  // Mostly it is that of the call before.
  if (name !== lastName) {
    let known = nameBytes.get(name);
    if (known === undefined && !nameBytes.has(name)) {
      known = name.length > 0 && name.length <= LONGEST_NAME ? latin1Of(name) : undefined;
      if (nameBytes.size < MOST_NAMES) {
        nameBytes.set(name, known);
      }
    }
    lastName = name;
    lastNameBytes = known;
  }
  return lastNameBytes;
}

function writeId(bytes: Buffer, at: number, id: number): void {
  bytes[at] = id;
  bytes[at + 1] = id >> 8;
  bytes[at + 2] = id >> 16;
  bytes[at + 3] = id >> 24;
}

function readId(bytes: Buffer, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

/** Where the entry ends that begins at `at`. */
function endOf(bytes: Buffer, at: number): number {
  return at + ID + (bytes[at] | (bytes[at + 1] << 8));
}

/** How many entries there are before `end`; throws when they are none. */
function count(bytes: Buffer, end: number, what: string): number {
  let entries = 0;
  let at = 0;
  while (at < end) {
    const next = endOf(bytes, at);
    // Its head and one byte more are there: a name's length, or a status.
    if (!(next <= end && next > at + HEAD)) {
      throw malformed(what);
    }
    at = next;
    entries++;
  }
  return entries;
}

/** The calls of a frame of packed ones. */
export class PackedCalls implements Calls {
  readonly calls: number;
  left: number;
  #bytes: Buffer;
  #at = 0;

  /** `length`: how many of the bytes are the frame. `isShared`: the next one is read there. Throws when they are none. */
  constructor(
    bytes: Buffer,
    readonly length: number,
    private isShared: boolean,
  ) {
    this.#bytes = bytes;
    this.calls = count(bytes, length, 'calls');
    this.left = this.calls;
  }

  keep(): void {
    if (this.isShared) {
      this.#bytes = Buffer.from(this.#bytes.subarray(0, this.length));
      this.isShared = false;
    }
  }

  next(sink: CallSink): boolean {
    const at = this.#at;
    if (at >= this.length) {
      return false;
    }
    const bytes = this.#bytes;
    const end = endOf(bytes, at);
    this.#at = end;
    this.left--;
    const id = readId(bytes, at + ID);
    const name = at + HEAD + 1;
    const length = bytes[at + HEAD] & ~CARRIER;
    if (length === 0 || name + length >= end) {
      sink.refuse(id, 'A call', malformed('calls'));
      return true;
    }
    const known = names.find(bytes, name, length);
    let args: unknown;
    let carrier: unknown;
    try {
      args = unpack(bytes, name + length, end);
      if (bytes[at + HEAD] >= CARRIER) {
        [carrier, args] = args as unknown[];
      }
      if (!Array.isArray(args) || !(carrier === undefined || isCarrier(carrier))) {
        throw malformed('calls');
      }
    } catch (error) {
      sink.refuse(id, known, error);
      return true;
    }
    sink.call(id, known, args, carrier as Carrier | undefined);
    return true;
  }
}

/** Gives each reply of a frame of packed ones to `take`, or to `refuse`. Throws when the frame is none. */
export function readPackedReplies(bytes: Buffer, length: number, { take, refuse }: ReplySink): void {
  count(bytes, length, 'replies');
  for (let at = 0; at < length; ) {
    const end = endOf(bytes, at);
    const id = readId(bytes, at + ID);
    let value: unknown;
    try {
      value = unpack(bytes, at + HEAD + 1, end);
    } catch (error) {
      refuse(id, bytes[at + HEAD], error);
      at = end;
      continue;
    }
    take(id, bytes[at + HEAD], value);
    at = end;
  }
}
