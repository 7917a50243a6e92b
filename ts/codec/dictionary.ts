/** What was made of short texts that come again and again, found by their Latin-1 bytes: no string has to be made of them. */

/** A power of two. What is known is bounded, whoever sends texts. */
const SIZE = 512;

interface Entry<T> {
  readonly bytes: Uint8Array;
  readonly made: T;
}

export class Dictionary<T> {
  readonly #entries: (Entry<T> | undefined)[] = new Array(SIZE).fill(undefined);

  /** `make` may throw; then nothing is kept. */
  constructor(private readonly make: (text: string) => T) {}

  /** What `make` makes of the `length` bytes from `start` on, of which there is at least one. */
  find(bytes: Buffer, start: number, length: number): T {
    const last = start + length - 1;
    const hash = bytes[start] + bytes[last] * 31 + bytes[(start + last) >> 1] * 7 + bytes[start + (length >> 2)] * 13;
    const place = (hash + length * 3) & (SIZE - 1);
    const entry = this.#entries[place];
    if (entry !== undefined && isSame(entry.bytes, bytes, start, length)) {
      return entry.made;
    }
    const second = this.#entries[place ^ 1];
    if (second !== undefined && isSame(second.bytes, bytes, start, length)) {
      return second.made;
    }
    const made = this.make(bytes.toString('latin1', start, start + length));
    if (entry !== undefined) {
      // It is found in second place, as long as nobody else needs that.
      this.#entries[place ^ 1] = entry;
    }
    this.#entries[place] = { bytes: Uint8Array.prototype.slice.call(bytes, start, start + length), made };
    return made;
  }
}

function isSame(known: Uint8Array, bytes: Buffer, start: number, length: number): boolean {
  if (known.length !== length) {
    return false;
  }
  let i = 0;
  while (i < length && known[i] === bytes[start + i]) {
    i++;
  }
  return i === length;
}

/** The bytes of a text by which it is found; `undefined` when it is not Latin-1. */
export function latin1Of(text: string): Buffer | undefined {
  // With memory of its own: it is kept.
  const bytes = Buffer.alloc(text.length);
  bytes.write(text, 'latin1');
  return bytes.toString('latin1') === text ? bytes : undefined;
}
