/**
 * Values as structured-clone bytes.
 *
 * ```text
 * room | FF ...  value                     V8's own format
 * room | 45 | FF ... heads, value, rows    the value holds errors: `errorRows.ts`
 * room | 50 | ...                          from a runtime without V8's format: `portable.ts`
 * ```
 *
 * Views travel as the bytes that they show, not as the whole buffer that they were cut from: a small Buffer lies in a
 * pool with others'.
 *
 * What is read is untrusted. V8 checks each length against what is left of the input before it takes memory, gives up
 * where its stack ends, and throws on anything that is malformed; so do we, where views and errors are read. One thing
 * is not bounded so: arrays inside arrays may each claim all the rest of the input, and V8 takes 8 bytes for each
 * element that is claimed (1 MB of such bytes took 800 MB). Only `maxPayload` bounds that, and that whoever writes here
 * is a process of the same user.
 */
import { Deserializer, Serializer } from 'node:v8';
import { ProcessAgentError } from '../agentError';
import { Copy } from './copy';
import { makeErrors } from './errorRows';
import { fromPortable, PORTABLE, PortableMark, toPortable } from './portable';
import { bytesOfView, kindOfView, viewOf } from './views';

const ERROR = 100;
const WITH_ERRORS = Buffer.from([0x45]);

/** A view, because V8 hands us views to write; it stands for the error of that row. */
class ErrorMark extends Uint8Array {
  constructor(readonly row: number) {
    super(0);
  }
  // What is derived of it, if anything, is an array.
  static get [Symbol.species]() {
    return Uint8Array;
  }
}

class Writer extends Serializer {
  constructor() {
    super();
    (this as unknown as HostObjects)._setTreatArrayBufferViewsAsHostObjects(true);
  }

  _writeHostObject(view: ArrayBufferView): void {
    if (view instanceof ErrorMark) {
      this.writeUint32(ERROR);
      this.writeUint32(view.row);
      return;
    }
    this.writeUint32(kindOfView(view));
    this.writeUint32(view.byteLength);
    this.writeRawBytes(bytesOfView(view));
  }
}

class Reader extends Deserializer {
  errors: unknown[] = [];

  constructor(
    private readonly bytes: Buffer,
    private readonly owned: boolean,
  ) {
    super(bytes);
  }

  _readHostObject(): unknown {
    const kind = this.readUint32();
    const length = this.readUint32();
    if (kind === ERROR) {
      // V8 refuses what is no object.
      return this.errors[length];
    }
    return viewOf(kind, this.readRawBytes(length), this.owned, this.bytes.length);
  }
}

let makesSerializers: boolean | undefined;

/** Bun exports the classes, and refuses to make objects of them. */
function canClone(): boolean {
  try {
    makesSerializers ??= new Serializer() !== undefined;
  } catch {
    makesSerializers = false;
  }
  return makesSerializers;
}

interface HostObjects {
  _setTreatArrayBufferViewsAsHostObjects(flag: boolean): void;
}

let room = Buffer.alloc(256);

/** `value` as bytes, after `head` bytes that the caller fills in. Throws `ERR_AGENT_NOT_SERIALIZABLE`. */
export function toBytes(value: unknown, what: string, head: number): Buffer {
  const clones = canClone();
  const copy = new Copy(value, what, row => (clones ? new ErrorMark(row) : new PortableMark(row)));
  try {
    if (!clones) {
      return toPortable(copy, head);
    }
    const writer = new Writer();
    if (head > 0) {
      room = head > room.length ? Buffer.alloc(head) : room;
      writer.writeRawBytes(room.subarray(0, head));
    }
    if (copy.errors) {
      writer.writeRawBytes(WITH_ERRORS);
    }
    writer.writeHeader();
    if (copy.errors) {
      writer.writeValue(copy.errors.heads);
    }
    writer.writeValue(copy.value);
    if (copy.errors) {
      writer.writeValue(copy.errors.rows);
    }
    return writer.releaseBuffer();
  } catch (cause) {
    throw new ProcessAgentError(
      'ERR_AGENT_NOT_SERIALIZABLE',
      `${what} can't be sent to another process: ${String(cause)}`,
      { outcome: 'not-sent', cause },
    );
  }
}

/**
 * The value in `bytes`, without the head. `owned`: nobody else looks at these bytes, and a large Buffer may stay where
 * it is in them. Throws when they are malformed.
 */
export function fromBytes(bytes: Buffer, owned: boolean): unknown {
  if (bytes[0] === PORTABLE) {
    return fromPortable(bytes, owned);
  }
  const hasErrors = bytes[0] === WITH_ERRORS[0];
  const reader = new Reader(hasErrors ? bytes.subarray(1) : bytes, owned);
  reader.readHeader();
  if (!hasErrors) {
    return reader.readValue();
  }
  const errors = makeErrors(reader.readValue());
  reader.errors = errors.all;
  const value: unknown = reader.readValue();
  errors.fill(reader.readValue(), each => each);
  return value;
}
