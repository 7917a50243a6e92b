import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Chunks, type Packed } from '../ts/engine/chunks';
import type { EngineHost } from '../ts/engine/engine';
import { IncomingCalls } from '../ts/engine/incoming';
import { Lanes } from '../ts/engine/lanes';
import { OutgoingCalls } from '../ts/engine/outgoing';
import { packCall, setId } from '../ts/engine/packed-frames';
import type { Member } from '../ts/interface';
import { OwnMetrics } from '../ts/metrics/own';
import { FrameKind, type NativeAgent } from '../ts/native';

const limits = { maxPayload: 100_000, maxPending: 10, maxPendingBytes: 100_000, readyTimeout: 5000 };
const turn = () => new Promise(setImmediate);

type Frame = { lane: number; kind: number; payload: string | Buffer };

/** A process with a lane to its primary, 1, and one from a member, 2; what it sends, and whom it runs. */
function processWith(protocol: number) {
  const sent: Frame[] = [];
  const ran: unknown[] = [];
  const agent = {
    sendText: (lane: number, kind: number, payload: string) => sent.push({ lane, kind, payload }),
    sendBytes: (lane: number, kind: number, payload: Buffer) => sent.push({ lane, kind, payload }),
    sendPacked: (lane: number, kind: number, bytes: Buffer, from: number, to: number) =>
      sent.push({ lane, kind, payload: Buffer.from(bytes.subarray(from, to)) }),
  } as unknown as NativeAgent;
  const host = {
    invoke: (name: string, args: unknown[]) => {
      ran.push([name, args]);
      return args[0];
    },
    wantsInvocations: false,
  } as unknown as EngineHost;
  const tally = new OwnMetrics(() => 0, { bytesIn: 0, bytesOut: 0 });
  const outgoing = new OutgoingCalls(
    limits,
    () => 'none',
    () => {},
    tally,
  );
  const incoming = new IncomingCalls(host, limits);
  const inbox = Buffer.alloc(1000);
  const lanes = new Lanes(agent, outgoing, incoming, new Uint8Array([1]), inbox);
  const open = { type: 'lane-open' as const, epoch: 1, peer: 7, protocol, maxPayload: 100_000 };
  lanes.open({ ...open, lane: 1, callsUs: false }, undefined);
  lanes.open({ ...open, lane: 2, callsUs: true }, { id: 7, pid: 4711 } as Member);
  lanes.openToPrimary(1);
  incoming.accept();
  return { sent, ran, outgoing, lanes, inbox };
}

const chunks = new Chunks();
function packedFrame(...values: unknown[]): Buffer {
  const entries = values.map((value, id) => {
    const call = packCall(chunks, 'echo', [value]) as Packed;
    setId(call, id);
    return call.bytes.subarray(call.from, call.to);
  });
  return Buffer.concat(entries);
}

test('the versions of the protocol that docs/semantics.md names are those that are spoken', () => {
  const textOf = (...path: string[]) => readFileSync(join(__dirname, '..', ...path), 'utf8');
  const [newest, oldest] = ['PROTOCOL', 'OLDEST_PROTOCOL'].map(
    name => textOf('src', 'ipc', 'message.rs').match(new RegExp(`const ${name}: u32 = (\\d+);`))?.[1],
  );
  expect(textOf('docs', 'semantics.md')).toContain(`(this one speaks versions ${newest} and ${oldest})`);
});

test.each([
  { protocol: 3, calls: FrameKind.PackedCalls, replies: FrameKind.PackedReplies },
  { protocol: 2, calls: FrameKind.Calls, replies: FrameKind.Replies },
])('calls and replies are packed for those who read that: $protocol', async ({ protocol, calls, replies }) => {
  const { sent, outgoing, lanes } = processWith(protocol);
  outgoing.call('echo', [{ a: 1 }]).catch(() => {});
  expect(sent).toMatchObject([{ lane: 1, kind: calls }]);
  lanes.receive(2, FrameKind.Calls, '[0,"echo",[5]]');
  await turn();
  expect(sent[1]).toMatchObject({ lane: 2, kind: replies });
  outgoing.close();
});

test('packed frames are read from a Buffer of their own, as a thread brings them, and from the inbox', async () => {
  const { sent, ran, outgoing, lanes, inbox } = processWith(3);
  const frame = packedFrame(1, { a: 2 });
  lanes.receive(2, FrameKind.PackedCalls, frame);
  const length = packedFrame('x').copy(inbox);
  lanes.receive(2, FrameKind.PackedCalls, length);
  expect(ran).toEqual([
    ['echo', [1]],
    ['echo', [{ a: 2 }]],
    ['echo', ['x']],
  ]);
  await turn();
  // What one end has sent the other one reads, on its own lane.
  const call = outgoing.call('echo', [7]);
  const { payload } = sent.at(-1) as Frame;
  lanes.receive(2, FrameKind.PackedCalls, payload);
  await turn();
  const reply = sent.at(-1) as Frame;
  expect(reply.kind).toBe(FrameKind.PackedReplies);
  lanes.receive(1, FrameKind.PackedReplies, (reply.payload as Buffer).copy(inbox));
  expect(await call).toBe(7);
});

test('text is no packed frame', () => {
  const { lanes } = processWith(3);
  for (const kind of [FrameKind.PackedCalls, FrameKind.PackedReplies]) {
    expect(() => lanes.receive(2, kind, '[0,"echo",[5]]')).toThrow('malformed');
    // Digits, which JavaScript would take for the numbers of an entry.
    expect(() => lanes.receive(2, kind, '90123456789')).toThrow('malformed');
  }
});
