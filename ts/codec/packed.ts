/**
 * Small values packed into bytes, which takes half as long as their text, to write and to read: what most calls have for
 * arguments and results. A value is a tag and what belongs to it; numbers have their low byte first.
 *
 * ```text
 * 0x00 to 0x7f      an integer from 0 to 127
 * 0x80 to 0xbf      a string of so many (tag - 0x80) Latin-1 characters, which follow
 * Undefined, Null, False, True
 * Int               i32
 * Double            f64
 * Text              u16 length | Latin-1 characters
 * Wide              u16 length in bytes | UTF-16 units
 * List              u8 length | values
 * Object            u8 length of its keys | keys, each with a NUL behind it | their values
 * ```
 *
 * What is packed has the same value at the other end: anything else, and anything large, has to go another way. Each
 * property is read once, so that what was checked is what is sent, whatever getters and proxies do.
 */
export const Tag = {
  /** How many integers, and where the tags of short strings begin. */
  Short: 0x80,
  Undefined: 0xc0,
  Null: 0xc1,
  False: 0xc2,
  True: 0xc3,
  Int: 0xc4,
  Double: 0xc5,
  Text: 0xc6,
  Wide: 0xc7,
  List: 0xc8,
  Object: 0xc9,
} as const;

/** A packed value takes no more bytes than that. */
export const LARGEST_PACKED = 4096;
/** Deepest nesting. */
export const MAX_DEPTH = 32;
/** Longest list and text of keys: their length is one byte. */
export const LONGEST = 255;
