/** The call lanes of this process: to its primary, or from its members. */
import type { Encoded } from '../codec';
import type { Member } from '../interface';
import { FrameKind, type NativeAgent } from '../native';
import { discard } from './discard';
import type { IncomingCalls, IncomingLane } from './incoming';
import type { Notice } from './notice';
import type { OutgoingCalls } from './outgoing';
import { PackedCalls } from './packed-frames';
import { CallBatch, type Calls, malformed } from './wire';

/** The protocol's version since which members read packed values. */
const PACKED = 3;

export class Lanes {
  readonly #members = new Map<number, IncomingLane>();
  #toPrimary: { id: number; epoch: number; maxPayload: number; packs: boolean } | undefined;

  constructor(
    private readonly agent: NativeAgent,
    private readonly outgoing: OutgoingCalls,
    private readonly incoming: IncomingCalls,
    /** One byte: 1 while a frame is received, and what it has settled has its reactions, or when nobody knows. */
    private readonly telling: Uint8Array,
    /** Where frames of packed values are read, one at a time. */
    private readonly inbox: Buffer,
  ) {}

  get hasPrimary(): boolean {
    return this.#toPrimary !== undefined;
  }

  /** `peer` is the member at the other end, if it makes the calls. */
  open(
    { lane: id, epoch, protocol, maxPayload, callsUs }: Notice & { type: 'lane-open' },
    peer: Member | undefined,
  ): void {
    const { agent } = this;
    const packs = protocol >= PACKED;
    if (!callsUs) {
      this.#toPrimary = { id, epoch, maxPayload, packs };
    } else if (peer) {
      this.#members.set(id, {
        id,
        member: peer,
        epoch,
        maxPayload,
        packs,
        send: (payload, bounded) => this.#send(id, FrameKind.Replies, payload, bounded),
        sendPacked: (bytes, from, to, bounded) =>
          agent.sendPacked(id, FrameKind.PackedReplies, bytes, from, to, bounded),
        hold: held => agent.holdLane(id, held),
      });
    }
  }

  /** Lets calls flow to the primary of `epoch`; `false` as long as there is no lane to it. */
  openToPrimary(epoch: number): boolean {
    const lane = this.#toPrimary;
    if (lane?.epoch !== epoch) {
      return false;
    }
    const { agent, telling } = this;
    this.outgoing.open({
      ...lane,
      isTelling: () => telling[0] === 1,
      unwritten: () => agent.unwritten(lane.id),
      send: payload => this.#send(lane.id, FrameKind.Calls, payload, false),
      sendPacked: (bytes, from, to) => agent.sendPacked(lane.id, FrameKind.PackedCalls, bytes, from, to, false),
    });
    return true;
  }

  close(end: Notice & { type: 'lane-closed' }): void {
    const member = this.#members.get(end.lane);
    if (member) {
      this.#members.delete(end.lane);
      this.incoming.forget(member);
      return;
    }
    if (this.#toPrimary?.id === end.lane) {
      this.#toPrimary = undefined;
    }
    this.outgoing.closeLane(end.lane, end);
  }

  /** A number is how many bytes of the inbox are the frame. */
  receive(lane: number, kind: number, payload: Encoded | number): void {
    const isShared = typeof payload === 'number';
    if (isShared || kind === FrameKind.PackedCalls || kind === FrameKind.PackedReplies) {
      const bytes = isShared ? this.inbox : asBytes(payload);
      const length = isShared ? payload : bytes.length;
      if (kind === FrameKind.PackedReplies) {
        this.outgoing.receivePacked(lane, bytes, length);
      } else {
        this.#receiveCalls(lane, () => new PackedCalls(bytes, length, isShared));
      }
    } else if (kind === FrameKind.Replies) {
      this.outgoing.receive(lane, payload);
    } else {
      this.#receiveCalls(lane, () => new CallBatch(payload));
    }
  }

  #receiveCalls(lane: number, read: () => Calls): void {
    const member = this.#members.get(lane);
    if (member) {
      this.incoming.receive(member, read());
    }
  }

  #send(lane: number, kind: number, payload: Encoded, bounded: boolean): number {
    if (typeof payload === 'string') {
      return this.agent.sendText(lane, kind, payload, bounded);
    }
    const frame = this.agent.sendBytes(lane, kind, payload, bounded);
    if (kind === FrameKind.Replies && frame >= 0) {
      // A call may have to be sent again; a reply never.
      discard(this.agent, payload);
    }
    return frame;
  }
}

function asBytes(payload: Encoded): Buffer {
  if (typeof payload === 'string') {
    throw malformed('packed values');
  }
  return payload;
}
