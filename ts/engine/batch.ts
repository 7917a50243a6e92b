/** Calls or replies that go together: texts are joined, packed ones lie one behind the other, and bytes go alone. */
import type { Encoded } from '../codec';
import type { Packed } from './chunks';

/** So many calls or replies go at once: the other end works on them while the next ones are made. */
const LEAST = 32;
/** So many where hundreds are under way, and both ends have enough to do: each frame costs both of them. */
const MOST = 128;

/** How many go together where that would be right for `count`. */
export function batchOf(count: number): number {
  return Math.min(MOST, Math.max(LEAST, count));
}

/** A batch stops growing at this many characters: what is larger waits for a grant of the other end. */
export const BATCH_SIZE = 60 * 1024;
/** No batch of packed ones is larger: it is read into memory of this size. */
export const LARGEST_BATCH = 64 * 1024;

/** The lane. Both return the frame's number, and 0 or less when it was not sent. */
export interface Sender {
  send(payload: Encoded): number;
  sendPacked(bytes: Buffer, from: number, to: number): number;
}

/** Where packed ones are put together that do not lie so, and the batch that does it now. */
let together: Buffer | undefined;
let user: Batch<unknown> | undefined;

/** Keeps the order of what is added. */
export class Batch<T> {
  #texts: string[] = [];
  #members: T[] = [];
  #size = 0;
  #bytes: Buffer | undefined;
  #from = 0;
  #to = 0;

  /** `sent` is told, for each member, what the lane returned for the frame that carries it. */
  constructor(
    private readonly lane: Sender,
    private readonly sent: (member: T, frame: number) => void,
  ) {}

  add(member: T, payload: Encoded): void {
    if (typeof payload === 'string') {
      if (this.#bytes || (this.#size > 0 && this.#size + payload.length > BATCH_SIZE)) {
        this.flush();
      }
      this.#texts.push(payload);
      this.#members.push(member);
      this.#size += payload.length;
    } else {
      this.flush();
      this.sent(member, this.lane.send(payload));
    }
  }

  addPacked(member: T, { bytes, from, to }: Packed): void {
    this.#put(bytes, from, to);
    this.#members.push(member);
  }

  #put(bytes: Buffer, from: number, to: number): void {
    if (this.#bytes === bytes && this.#to === from) {
      this.#to = to;
      return;
    }
    const size = this.#to - this.#from;
    if (this.#size > 0 || size + to - from > LARGEST_BATCH || (user && user !== this)) {
      this.flush();
    }
    if (!this.#bytes) {
      this.#bytes = bytes;
      this.#from = from;
      this.#to = to;
      return;
    }
    together ??= Buffer.allocUnsafeSlow(LARGEST_BATCH);
    user = this as Batch<unknown>;
    if (this.#bytes !== together) {
      this.#bytes.copy(together, 0, this.#from, this.#to);
      this.#bytes = together;
    }
    bytes.copy(together, size, from, to);
    this.#from = 0;
    this.#to = size + to - from;
  }

  flush(): void {
    const members = this.#members;
    if (members.length === 0) {
      return;
    }
    const frame = this.#bytes
      ? this.lane.sendPacked(this.#bytes, this.#from, this.#to)
      : this.lane.send(`[${this.#texts.join(',')}]`);
    this.#texts = [];
    this.#members = [];
    this.#size = 0;
    this.#bytes = undefined;
    user = user === this ? undefined : user;
    this.#from = 0;
    this.#to = 0;
    for (const member of members) {
      this.sent(member, frame);
    }
  }
}
