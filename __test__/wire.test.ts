import { encodeAsBytes, encodeAsText } from '../ts/codec';
import { Chunks, type Packed } from '../ts/engine/chunks';
import type { Carrier } from '../ts/engine/engine';
import { argsOf, PackedCalls, packCall, packReply, readPackedReplies, setId } from '../ts/engine/packed-frames';
import {
  CallBatch,
  type CallSink,
  type Calls,
  callBytes,
  callText,
  nameText,
  REPLY_HEAD,
  type ReplySink,
  readReplies,
  replyOf,
  replyText,
  roomOfCall,
  Status,
  Verb,
  verbText,
} from '../ts/engine/wire';
import { numbers } from './support/numbers';

type Payload = string | Buffer;
type Read = (payload: Payload, entries?: unknown[]) => unknown[];

/** Of whichever realm. */
const someError = expect.objectContaining({ message: expect.any(String) });

const carrier: Carrier = { traceparent: '00-ünï-01' };
const values = [[], [1, 'x', { a: null }], ['中"\\', true, [[]], -0.5], [{ deep: { deeper: ['é'.repeat(40)] } }]];
const others = [[new Date(5)], [new Map([[1, new Set(['x'])]])], [Buffer.from('bytes'), undefined, 7n]];

/** What a frame of calls gives, entry by entry; it is checked that each is of the types that the sink takes. */
function entriesOf(batch: Calls, entries: unknown[]): unknown[] {
  const sink: CallSink = {
    call(id, name, args, beside) {
      expect([Number.isInteger(id), typeof name, Array.isArray(args)]).toEqual([true, 'string', true]);
      expect(Object.values(beside ?? {}).every(each => typeof each === 'string')).toBe(true);
      entries.push({ id, name, args, carrier: beside });
    },
    verb(id, verb, number) {
      expect([id, verb, number].every(Number.isInteger)).toBe(true);
      entries.push({ id, verb, number });
    },
    refuse(id, name, reason) {
      expect([Number.isInteger(id), typeof name, reason]).toEqual([true, 'string', someError]);
      entries.push({ id, refused: name });
    },
  };
  while (batch.next(sink)) {}
  expect(batch.left).toBe(0);
  return entries;
}

function callsOf(payload: Payload, entries: unknown[] = []): unknown[] {
  return entriesOf(new CallBatch(payload), entries);
}

function replySink(entries: unknown[]): ReplySink {
  return {
    take(id, status, value) {
      expect([id, status].every(Number.isInteger)).toBe(true);
      entries.push({ id, status, value });
    },
    refuse(id, status, reason) {
      expect([id, status].every(Number.isInteger)).toBe(true);
      expect(reason).toEqual(someError);
      entries.push({ id, refused: true });
    },
  };
}

function repliesOf(payload: Payload, entries: unknown[] = []): unknown[] {
  readReplies(payload, replySink(entries));
  return entries;
}

const name = 'Orders.create';
const bytesOfCall = (args: unknown[], beside?: Carrier) => {
  const text = beside && JSON.stringify(beside);
  return callBytes(7, 'Orders.create', encodeAsBytes(args, 'args', roomOfCall('Orders.create', text)), text);
};
const textOfCalls = `[${[
  ...values.map((args, i) => callText(i, nameText(name, undefined), encodeAsText(args) as string)),
  callText(9, nameText(name, JSON.stringify(carrier)), '[]'),
  verbText(3, Verb.Taken, 12),
].join(',')}]`;
const bytesOfReply = (value: unknown) => replyOf(7, Status.Value, encodeAsBytes(value, 'result', REPLY_HEAD));
const textOfReplies = `[${values.map((value, i) => replyText(i, Status.Item, JSON.stringify(value))).join(',')}]`;

const chunks = new Chunks();
const together = (entries: (Packed | undefined)[]) =>
  Buffer.concat(entries.map(entry => (entry as Packed).bytes.subarray(entry?.from, entry?.to)));
const packedCalls = together(
  [...values, [undefined, -0]].map((args, i) => {
    const call = packCall(chunks, name, args) as Packed;
    setId(call, i);
    return call;
  }),
);
const carried = packCall(chunks, name, values[2], carrier) as Packed;
setId(carried, 8);
const packedReplies = together(values.map((value, i) => packReply(chunks, i, Status.Item, value)));
const packedCallsOf: Read = (payload, entries = []) => {
  const bytes = payload as Buffer;
  return entriesOf(new PackedCalls(bytes, bytes.length, false), entries);
};
const packedRepliesOf: Read = (payload, entries = []) => {
  readPackedReplies(payload as Buffer, payload.length, replySink(entries));
  return entries;
};

/** Frames, each with what reads it. */
const frames: [Payload, Read][] = [
  [packedCalls, packedCallsOf],
  [packedReplies, packedRepliesOf],
  [together([carried]), packedCallsOf],
  [textOfCalls, callsOf],
  [textOfReplies, repliesOf],
  ...others.flatMap((value): [Payload, Read][] => [
    [bytesOfCall(value), callsOf],
    [bytesOfCall(value, carrier), callsOf],
    [bytesOfReply(value), repliesOf],
  ]),
];

/** A frame that something has happened to: some of it is other, or missing, or twice. */
function spoilt(payload: Payload, next: (below: number) => number): Payload {
  const units: (string | number)[] = typeof payload === 'string' ? [...payload] : [...payload];
  for (let changes = 1 + next(3); changes > 0 && units.length > 0; changes--) {
    const at = next(units.length);
    const unit = typeof payload === 'string' ? '{}[]":,0-1e.a\\$_'[next(16)] : next(256);
    const deeds = [
      () => units.splice(at, 1, unit),
      () => units.splice(at, 0, unit),
      () => units.splice(at, 1 + next(8)),
      () => units.splice(at, 0, ...units.slice(at, at + 1 + next(20))),
    ];
    deeds[next(deeds.length)]();
  }
  return typeof payload === 'string' ? units.join('') : Buffer.from(units as number[]);
}

describe('a frame', () => {
  it('of calls gives what was written, as text and as bytes', () => {
    expect(callsOf(textOfCalls)).toEqual([
      ...values.map((args, id) => ({ id, name: 'Orders.create', args, carrier: undefined })),
      { id: 9, name: 'Orders.create', args: [], carrier },
      { id: 3, verb: Verb.Taken, number: 12 },
    ]);
    for (const args of others) {
      expect(callsOf(bytesOfCall(args))).toEqual([{ id: 7, name: 'Orders.create', args, carrier: undefined }]);
      expect(callsOf(bytesOfCall(args, carrier))).toEqual([{ id: 7, name: 'Orders.create', args, carrier }]);
    }
  });

  it('of replies gives what was written, as text and as bytes', () => {
    expect(repliesOf(textOfReplies)).toEqual(values.map((value, id) => ({ id, status: Status.Item, value })));
    for (const value of others) {
      expect(repliesOf(bytesOfReply(value))).toEqual([{ id: 7, status: Status.Value, value }]);
    }
  });

  it('of packed calls and replies gives what was packed', () => {
    const entry = (args: unknown[], id: number) => ({ id, name, args, carrier: undefined });
    expect(packedCallsOf(packedCalls)).toEqual([...values, [undefined, -0]].map(entry));
    expect(packedCallsOf(together([carried]))).toEqual([{ id: 8, name, args: values[2], carrier }]);
    expect(argsOf(carried)).toEqual(values[2]);
    expect(packedRepliesOf(packedReplies)).toEqual(values.map((value, id) => ({ id, status: Status.Item, value })));
  });

  it('of packed calls stays what it was when another one is read into its memory, if it is told so', () => {
    const shared = Buffer.concat([packedCalls, Buffer.alloc(100)]);
    const calls = new PackedCalls(shared, packedCalls.length, true);
    calls.next({ call: () => {}, verb: () => {}, refuse: () => {} });
    calls.keep();
    shared.fill(0xff);
    expect(entriesOf(calls, [])).toHaveLength(values.length);
  });

  it.each([1, 2, 3, 4])('that is spoilt is refused as a whole, or every entry of it is one (seed %i)', seed => {
    const next = numbers(seed);
    const counts = { read: 0, refused: 0 };
    for (let i = 0; i < 3000; i++) {
      const [payload, read] = frames[i % frames.length];
      const bad = spoilt(payload, next);
      const entries: unknown[] = [];
      try {
        read(bad, entries);
        counts.read++;
      } catch (error) {
        // An assertion of the readers above is none of the reader's errors.
        expect(error).not.toHaveProperty('matcherResult');
        expect(error).toEqual(someError);
        expect(entries).toEqual([]);
        counts.refused++;
      }
    }
    expect(counts.refused).toBeGreaterThan(300);
    expect(counts.read).toBeGreaterThan(500);
  });

  it.each<[string, Payload]>([
    ['is no array', '{}'],
    ['ends within an entry', '[1,"a"]'],
    ['has a number that is none', '[1.5,"a",[]]'],
    ['has arguments that are no array', '[1,"a",{}]'],
    ['has a carrier with more than texts', '[1,["a",{"x":1}],[]]'],
    ['is shorter than its head', Buffer.alloc(7)],
  ])('of calls that %s is refused', (_, payload) => {
    expect(() => callsOf(payload)).toThrow();
  });

  it.each([
    ['no texts', { traceparent: 1 }, []],
    ['no carrier', ['x'], []],
    ['no list of arguments', carrier, {}],
  ])('of a packed call with a carrier that has %s refuses that call', (_, beside, args) => {
    const call = packCall(chunks, name, [beside, args]) as Packed;
    setId(call, 7);
    const frame = together([call]);
    // Says that there is a carrier.
    frame[6] += 128;
    expect(packedCallsOf(frame)).toEqual([{ id: 7, refused: name }]);
  });

  it.each([0, 3, 6, 7, 8])('of packed calls that ends within an entry, after %i bytes of it, is refused', length => {
    const one = together([packCall(chunks, 'a', [])]);
    expect(packedCallsOf(one)).toHaveLength(1);
    const entries = Buffer.concat([one, one.subarray(0, length)]);
    const read = () => packedCallsOf(entries);
    length === 0 ? expect(read()).toHaveLength(1) : expect(read).toThrow('malformed');
  });

  it.each([0, 200])('of a packed call with a name of %i bytes, which it has not, has its number', length => {
    const call = packCall(chunks, 'a', []) as Packed;
    setId(call, 7);
    const one = together([call]);
    one[6] = length;
    expect(packedCallsOf(one)).toEqual([{ id: 7, refused: 'A call' }]);
  });

  it('of one call that can not be read has its number, so that its caller hears of it', () => {
    const bytes = bytesOfCall([new Date(5)]);
    bytes[roomOfCall('Orders.create')] = 0;
    expect(callsOf(bytes)).toEqual([{ id: 7, refused: 'Orders.create' }]);
    // Names that are longer than the frame.
    bytes.writeUInt16LE(0xffff, 4);
    expect(callsOf(bytes)).toMatchObject([{ id: 7 }]);
  });
});
