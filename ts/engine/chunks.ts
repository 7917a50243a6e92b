/** Where packed calls and replies are written: memory that is used again as soon as nothing in it is needed any more. */
import type { Encoded } from '../codec';
import { LARGEST_PACKED } from '../codec/packed';

const SIZE = 32 * 1024;
/** One call that waits long keeps the whole of a chunk. When so many are needed, others have to do without: 8 MiB. */
const MOST = 256;
/** A packed value and what stands before it: a name, and some numbers. */
const LARGEST_ENTRY = LARGEST_PACKED + 256;
/** So many are kept that nobody needs right now. */
const SPARE = 16;

/** A class, with an own Buffer: what else lies in a Buffer of the pool would be kept as long. */
export class Chunk {
  readonly bytes = Buffer.allocUnsafeSlow(SIZE);
  used = 0;
  /** How many entries in it are needed. */
  needed = 0;
}

/** A part of a chunk. */
export class Packed {
  constructor(
    /** None when it was released. */
    public chunk: Chunk | undefined,
    readonly bytes: Buffer,
    readonly from: number,
    readonly to: number,
  ) {}

  get length(): number {
    return this.to - this.from;
  }
}

/** What is ready to be sent. */
export type Sendable = Encoded | Packed;

export class Chunks {
  #current = new Chunk();
  readonly #spare: Chunk[] = [];
  /** How many there are, spare ones included. */
  #count = 1;

  /** A chunk with room for one more entry; `undefined` when all that there may be are needed. */
  open(): Chunk | undefined {
    if (this.#current.used + LARGEST_ENTRY <= SIZE) {
      return this.#current;
    }
    let next = this.#spare.pop();
    if (!next && this.#count < MOST) {
      next = new Chunk();
      this.#count++;
    }
    this.#current = next ?? this.#current;
    return next;
  }

  /** The entry from `from` to `to` is needed. */
  keep(chunk: Chunk, from: number, to: number): Packed {
    chunk.used = to;
    chunk.needed++;
    return new Packed(chunk, chunk.bytes, from, to);
  }

  /** The entry is needed no more. */
  release(packed: Packed): void {
    const { chunk } = packed;
    if (!chunk) {
      return;
    }
    packed.chunk = undefined;
    if (--chunk.needed === 0) {
      chunk.used = 0;
      if (chunk === this.#current) {
        return;
      }
      if (this.#spare.length < SPARE) {
        this.#spare.push(chunk);
      } else {
        this.#count--;
      }
    }
  }
}
