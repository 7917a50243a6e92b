/**
 * The payloads of call frames whose values are not packed (packed-frames.ts). As text: a flat JSON array, three entries a
 * call or reply, so that one `JSON.parse` takes a whole batch. As bytes: one call or reply, a small header and
 * structured-clone bytes.
 *
 * ```text
 * calls    text   [id, name, args, id, name, args, ...]
 *                 [id, [name, carrier], args, ...]         with what travels beside it
 *                 [id, verb, number, ...]                  about a call that was made before
 *          bytes  u32 id | u16 length of name | u16 length of carrier | name | carrier | args
 * replies  text   [id, status, value, id, status, value, ...]
 *          bytes  u32 id | u8 status | value
 * ```
 *
 * What arrives comes from another process: the shape is checked before anything is believed.
 */
import { decode, type Encoded, encodeAsBytes, encodeAsText } from '../codec';
import { ProcessAgentError, withName } from '../errors';
import type { Carrier } from './engine';

/** How a call ended, as the reply says it, or what is next in a stream. */
export const Status = {
  /** The value is the result. */
  Value: 0,
  /** The result is undefined, which JSON has no word for; the value means nothing. */
  Undefined: 1,
  /** The value describes what was thrown. Ends a stream as well. */
  Thrown: 2,
  /** The primary is stopping and has not looked at the call. */
  NotAccepted: 3,
  /** The result is a stream; its items follow. */
  Stream: 4,
  /** The value is the next item of a stream. */
  Item: 5,
  /** The next item of a stream is undefined. */
  UndefinedItem: 6,
  /** The stream has ended; the value is what its generator returned. */
  End: 7,
  /** The stream has ended, and returned nothing. */
  UndefinedEnd: 8,
} as const;

/** What a caller says of a call that it made before. */
export const Verb = {
  /** Nobody waits for it any more. */
  Cancel: 0,
  /** So many more items of its stream were taken. */
  Taken: 1,
  /** No further item of its stream is wanted. */
  Return: 2,
} as const;

/** The most that a carrier may take, as JSON; what is larger is left out, and the call goes without. */
const MAX_CARRIER = 8 * 1024;

/** What travels beside a call, as JSON; `undefined` when there is nothing, or too much. */
export function carrierText(carrier: Carrier | undefined): string | undefined {
  const text = carrier && JSON.stringify(carrier);
  return text && text.length <= MAX_CARRIER ? text : undefined;
}

/** A call's name and what travels beside it, with the commas around them: every string that is joined costs time. */
export function nameText(name: string, carrier: string | undefined): string {
  const quoted = JSON.stringify(name);
  return carrier === undefined ? `,${quoted},` : `,[${quoted},${carrier}],`;
}

/** One call as text, to be joined with others. `name` comes from `nameText`. */
export function callText(id: number, name: string, args: string): string {
  return `${id}${name}${args}`;
}

/** One word about a call, to be joined with calls. */
export function verbText(id: number, verb: number, number: number): string {
  return `${id},${verb},${number}`;
}

/** Each status with the commas around it. */
const STATUS_TEXTS = Array.from(Object.keys(Status), (_, status) => `,${status},`);

/** One reply as text, to be joined with others. */
export function replyText(id: number, status: number, value: string): string {
  return `${id}${STATUS_TEXTS[status]}${value}`;
}

const CALL_HEAD = 8;
/** How many bytes the head of a reply takes. */
export const REPLY_HEAD = 5;

/** How many bytes the head of a call takes. */
export function roomOfCall(name: string, carrier = ''): number {
  return CALL_HEAD + Buffer.byteLength(name) + Buffer.byteLength(carrier);
}

/** The arguments of a call, which are not packed; of bytes, `room` are left for the head. */
export function encodeArgs(
  name: string,
  args: unknown[],
  carrier: Carrier | undefined,
): { encoded: Encoded; room: number } {
  const text = encodeAsText(args);
  if (text !== undefined) {
    return { encoded: text, room: 0 };
  }
  const room = roomOfCall(name, carrierText(carrier));
  try {
    return { encoded: encodeAsBytes(args, 'args', room), room };
  } catch (error) {
    throw withName(name, error, 'not-sent');
  }
}

/** One call as bytes: writes the head into the room before the arguments. */
export function callBytes(id: number, name: string, args: Buffer, carrier = ''): Buffer {
  const endOfName = CALL_HEAD + args.write(name, CALL_HEAD);
  const end = endOfName + args.write(carrier, endOfName);
  args.writeUInt32LE(id, 0);
  args.writeUInt16LE(endOfName - CALL_HEAD, 4);
  args.writeUInt16LE(end - endOfName, 6);
  return args;
}

/** One reply: as text, or as bytes with a head in the room before the value. */
export function replyOf(id: number, status: number, value: Encoded): Encoded {
  if (typeof value === 'string') {
    return replyText(id, status, value);
  }
  value.writeUInt32LE(id, 0);
  value.writeUInt8(status, 4);
  return value;
}

/** The number of the call that a reply, made here, belongs to. */
export function idOfReply(reply: Encoded): number {
  return typeof reply === 'string' ? Number.parseInt(reply, 10) : reply.readUInt32LE(0);
}

/** The status of a reply that was made here. */
export function statusOfReply(reply: Encoded): number {
  return typeof reply === 'string' ? Number.parseInt(reply.slice(reply.indexOf(',') + 1), 10) : reply.readUInt8(4);
}

export interface CallSink {
  call(id: number, name: string, args: unknown[], carrier: Carrier | undefined): void;
  verb(id: number, verb: number, number: number): void;
  /** A call whose arguments can't be read. Its caller waits for an answer. */
  refuse(id: number, name: string, reason: unknown): void;
}

/** What is done with replies. */
export interface ReplySink {
  take(id: number, status: number, value: unknown): void;
  /** A reply that can't be read. */
  refuse(id: number, status: number, reason: unknown): void;
}

/** The entries of a frame of calls, to be taken one by one. */
export interface Calls {
  /** Bytes or characters of the frame. */
  readonly length: number;
  /** How many calls are among the entries. */
  readonly calls: number;
  /** How many of the calls were not taken yet. */
  readonly left: number;
  /** Gives the next entry to `sink`; `false` when there was none. */
  next(sink: CallSink): boolean;
  /** More will be taken when something else lies where the frame is now. */
  keep(): void;
}

/** The calls of a frame of text or bytes. */
export class CallBatch implements Calls {
  readonly length: number;
  readonly calls: number;
  left: number;
  readonly #entries: unknown[] | undefined;
  readonly #bytes: Buffer | undefined;
  #next = 0;

  /** Throws when the payload is none. */
  constructor(payload: string | Buffer) {
    this.length = payload.length;
    if (typeof payload !== 'string') {
      if (payload.length < CALL_HEAD) {
        throw malformed('calls');
      }
      this.#bytes = payload;
      this.calls = 1;
      this.left = 1;
      return;
    }
    this.#entries = readBatch(payload, 'calls');
    this.calls = countCalls(this.#entries);
    this.left = this.calls;
  }

  keep(): void {}

  next(sink: CallSink): boolean {
    const entries = this.#entries;
    const i = this.#next;
    if (!entries) {
      this.#next = 1;
      if (i === 0) {
        this.left = 0;
        readCallBytes(this.#bytes as Buffer, sink);
      }
      return i === 0;
    }
    if (i >= entries.length) {
      return false;
    }
    this.#next = i + 3;
    const id = entries[i] as number;
    const what = entries[i + 1];
    if (typeof what === 'string') {
      this.left--;
      sink.call(id, what, entries[i + 2] as unknown[], undefined);
    } else if (typeof what === 'number') {
      sink.verb(id, what, entries[i + 2] as number);
    } else {
      this.left--;
      const [name, carrier] = what as [string, Carrier];
      sink.call(id, name, entries[i + 2] as unknown[], carrier);
    }
    return true;
  }
}

function countCalls(entries: unknown[]): number {
  let calls = 0;
  for (let i = 0; i < entries.length; i += 3) {
    if (!Number.isInteger(entries[i]) || !isCallOrVerb(entries[i + 1], entries[i + 2])) {
      throw malformed('calls');
    }
    calls += typeof entries[i + 1] === 'number' ? 0 : 1;
  }
  return calls;
}

function isCallOrVerb(what: unknown, rest: unknown): boolean {
  if (Array.isArray(rest)) {
    return typeof what === 'string' || isNameWithCarrier(what);
  }
  return Number.isInteger(what) && Number.isInteger(rest);
}

function readCallBytes(payload: Buffer, sink: CallSink): void {
  const id = payload.readUInt32LE(0);
  const endOfName = CALL_HEAD + payload.readUInt16LE(4);
  const end = endOfName + payload.readUInt16LE(6);
  const name = payload.toString('utf8', CALL_HEAD, endOfName);
  let args: unknown;
  let carrier: unknown;
  try {
    carrier = end > endOfName ? JSON.parse(payload.toString('utf8', endOfName, end)) : undefined;
    args = decode(payload.subarray(end), true);
    if (!Array.isArray(args) || !(carrier === undefined || isCarrier(carrier))) {
      throw malformed('calls');
    }
  } catch (error) {
    // Written by another version of V8, for one.
    sink.refuse(id, name, error);
    return;
  }
  sink.call(id, name, args, carrier as Carrier | undefined);
}

function isNameWithCarrier(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === 'string' && isCarrier(value[1]);
}

export function isCarrier(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every(each => typeof each === 'string')
  );
}

/** Gives each reply of a frame to `take`, or to `refuse`. Throws when the frame is none. */
export function readReplies(payload: string | Buffer, { take, refuse }: ReplySink): void {
  if (typeof payload !== 'string') {
    if (payload.length <= REPLY_HEAD) {
      throw malformed('replies');
    }
    const id = payload.readUInt32LE(0);
    const status = payload.readUInt8(4);
    let value: unknown;
    try {
      value = decode(payload.subarray(REPLY_HEAD), true);
    } catch (error) {
      refuse(id, status, error);
      return;
    }
    take(id, status, value);
    return;
  }
  const batch = readBatch(payload, 'replies');
  for (let i = 0; i < batch.length; i += 3) {
    if (!Number.isInteger(batch[i]) || !Number.isInteger(batch[i + 1])) {
      throw malformed('replies');
    }
  }
  for (let i = 0; i < batch.length; i += 3) {
    take(batch[i] as number, batch[i + 1] as number, batch[i + 2]);
  }
}

function readBatch(text: string, what: string): unknown[] {
  const batch: unknown = JSON.parse(text);
  if (!Array.isArray(batch) || batch.length % 3 !== 0) {
    throw malformed(what);
  }
  return batch;
}

export function malformed(what: string): ProcessAgentError {
  return new ProcessAgentError('ERR_AGENT_INTERNAL', `A frame of ${what} from another process is malformed.`);
}
