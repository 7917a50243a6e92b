/**
 * How values travel. Small plain values of calls are packed (packed.ts), which is the fastest for them. Other plain values
 * go as JSON text; everything else goes through the structured clone algorithm, so that Date, Map, Set, RegExp, BigInt,
 * typed arrays, Buffers, errors, shared references and cycles arrive as what they were. So do long strings, which
 * structured clone only copies.
 *
 * Values are encoded when the call is made, not when its batch is sent: what the caller does to them afterwards
 * changes nothing.
 */
import { fromBytes, toBytes } from './bytes';
import { toText } from './text';

/** An encoded value: JSON text, or structured-clone bytes. */
export type Encoded = string | Buffer;

/**
 * Encodes `value`; `what` names it in errors (`args`, `result`). Bytes begin with `room` bytes for a head, which the
 * caller fills in: so nothing has to be joined. Throws `ERR_AGENT_NOT_SERIALIZABLE`, and runs whatever getters and
 * `toJSON()` the value has.
 */
export function encode(value: unknown, what: string, room = 0): Encoded {
  return toText(value, what === 'args') ?? toBytes(value, what, room);
}

/** `args` as text, if that gives them back exactly. */
export function encodeAsText(args: unknown[]): string | undefined {
  return toText(args, true);
}

/** Any value as bytes; see `encode`. */
export function encodeAsBytes(value: unknown, what: string, room: number): Buffer {
  return toBytes(value, what, room);
}

/**
 * The value that was encoded, of which bytes are given without their head. `owned`: nobody else reads or changes these
 * bytes, so that a large Buffer may be a view of them instead of a copy. Throws when they are malformed.
 */
export function decode(encoded: Encoded, owned = false): unknown {
  return typeof encoded === 'string' ? JSON.parse(encoded) : fromBytes(encoded, owned);
}

/** How many bytes an encoded value takes at the most; exact when that is over `limit`. */
export function sizeOf(encoded: Encoded, limit: number): number {
  if (typeof encoded !== 'string') {
    return encoded.length;
  }
  // A UTF-16 unit takes three bytes of UTF-8 at the most.
  const most = encoded.length * 3;
  return most <= limit ? most : Buffer.byteLength(encoded);
}
