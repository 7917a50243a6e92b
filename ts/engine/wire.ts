/**
 * The payloads of call frames. As text: a flat JSON array, three entries a call or reply, so that one `JSON.parse`
 * takes a whole batch. As bytes: one call or reply, a small header and structured-clone bytes.
 *
 * ```text
 * calls    text   [id, name, args, id, name, args, ...]
 *          bytes  u32 id | u16 length of name | name | args
 * replies  text   [id, status, value, id, status, value, ...]
 *          bytes  u32 id | u8 status | value
 * ```
 *
 * What arrives comes from another process: the shape is checked before anything is believed.
 */
import { decode, type Encoded } from '../codec';
import { ProcessAgentError } from '../errors';

/** How a call ended, as the reply says it. */
export const Status = {
  /** The value is the result. */
  Value: 0,
  /** The result is undefined, which JSON has no word for; the value means nothing. */
  Undefined: 1,
  /** The value describes what was thrown. */
  Thrown: 2,
  /** The primary is stopping and has not looked at the call. */
  NotAccepted: 3,
} as const;

/** A batch stops growing at this many characters: in UTF-8 well below what a frame may have beside one payload. */
export const BATCH_SIZE = 512 * 1024;

/** One call as text, to be joined with others. */
export function callText(id: number, quotedName: string, args: string): string {
  return `${id},${quotedName},${args}`;
}

/** One reply as text, to be joined with others. */
export function replyText(id: number, status: number, value: string): string {
  return `${id},${status},${value}`;
}

export function callBytes(id: number, name: string, args: Buffer): Buffer {
  const nameBytes = Buffer.from(name);
  const head = Buffer.allocUnsafe(6);
  head.writeUInt32LE(id, 0);
  head.writeUInt16LE(nameBytes.length, 4);
  return Buffer.concat([head, nameBytes, args]);
}

export function replyBytes(id: number, status: number, value: Buffer): Buffer {
  const head = Buffer.allocUnsafe(5);
  head.writeUInt32LE(id, 0);
  head.writeUInt8(status, 4);
  return Buffer.concat([head, value]);
}

/**
 * Gives each call of a frame to `take`, or to `refuse` one whose arguments can't be read. Throws when the frame is none.
 */
export function readCalls(
  payload: string | Buffer,
  take: (id: number, name: string, args: unknown[]) => void,
  refuse: (id: number, name: string, reason: unknown) => void,
): void {
  if (typeof payload !== 'string') {
    if (payload.length < 6) {
      throw malformed('calls');
    }
    const end = 6 + payload.readUInt16LE(4);
    const id = payload.readUInt32LE(0);
    const name = payload.toString('utf8', 6, end);
    let args: unknown;
    try {
      args = decode(payload.subarray(end));
      if (!Array.isArray(args)) {
        throw malformed('calls');
      }
    } catch (error) {
      // Written by another version of V8, for one. Its caller waits for an answer.
      refuse(id, name, error);
      return;
    }
    take(id, name, args as unknown[]);
    return;
  }
  const batch = readBatch(payload, 'calls');
  for (let i = 0; i < batch.length; i += 3) {
    if (!Number.isInteger(batch[i]) || typeof batch[i + 1] !== 'string' || !Array.isArray(batch[i + 2])) {
      throw malformed('calls');
    }
  }
  for (let i = 0; i < batch.length; i += 3) {
    take(batch[i] as number, batch[i + 1] as string, batch[i + 2] as unknown[]);
  }
}

/** Gives each reply of a frame to `take`, or to `refuse` one that can't be read. Throws when the frame is none. */
export function readReplies(
  payload: string | Buffer,
  take: (id: number, status: number, value: unknown) => void,
  refuse: (id: number, reason: unknown) => void,
): void {
  if (typeof payload !== 'string') {
    if (payload.length < 6) {
      throw malformed('replies');
    }
    const id = payload.readUInt32LE(0);
    let value: unknown;
    try {
      value = decode(payload.subarray(5));
    } catch (error) {
      refuse(id, error);
      return;
    }
    take(id, payload.readUInt8(4), value);
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

function malformed(what: string): ProcessAgentError {
  return new ProcessAgentError('ERR_AGENT_INTERNAL', `A frame of ${what} from another process is malformed.`);
}

/** Joins texts and sends bytes one by one, keeping their order. `send` returns the frame's number, 0 when closed. */
export class Batch<T> {
  #texts: string[] = [];
  #members: T[] = [];
  #size = 0;

  /** `sent` is told the number of the frame that carries each member, or 0 when the lane is closed. */
  constructor(
    private readonly send: (payload: Encoded) => number,
    private readonly sent: (member: T, frame: number) => void,
  ) {}

  add(member: T, payload: Encoded): void {
    if (typeof payload === 'string') {
      if (this.#size > 0 && this.#size + payload.length > BATCH_SIZE) {
        this.flush();
      }
      this.#texts.push(payload);
      this.#members.push(member);
      this.#size += payload.length;
    } else {
      this.flush();
      this.sent(member, this.send(payload));
    }
  }

  flush(): void {
    if (this.#texts.length === 0) {
      return;
    }
    const [texts, members] = [this.#texts, this.#members];
    this.#texts = [];
    this.#members = [];
    this.#size = 0;
    const frame = this.send(`[${texts.join(',')}]`);
    for (const member of members) {
      this.sent(member, frame);
    }
  }
}
