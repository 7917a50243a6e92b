/** The call lanes of this process: to its primary, or from its members. */
import type { Encoded } from '../codec';
import type { Member } from '../interface';
import { FrameKind, type NativeAgent } from '../native';
import { discard } from './discard';
import type { IncomingCalls, IncomingLane } from './incoming';
import type { Notice } from './notice';
import type { OutgoingCalls } from './outgoing';

export class Lanes {
  readonly #members = new Map<number, IncomingLane>();
  #toPrimary: { id: number; epoch: number; maxPayload: number } | undefined;

  constructor(
    private readonly agent: NativeAgent,
    private readonly outgoing: OutgoingCalls,
    private readonly incoming: IncomingCalls,
    /** One byte: 1 while a frame is received, and what it has settled has its reactions, or when nobody knows. */
    private readonly telling: Uint8Array,
  ) {}

  get hasPrimary(): boolean {
    return this.#toPrimary !== undefined;
  }

  /** `peer` is the member at the other end, if it makes the calls. */
  open({ lane: id, epoch, maxPayload, callsUs }: Notice & { type: 'lane-open' }, peer: Member | undefined): void {
    if (!callsUs) {
      this.#toPrimary = { id, epoch, maxPayload };
    } else if (peer) {
      const send = (payload: Encoded, bounded: boolean) => this.#send(id, FrameKind.Replies, payload, bounded);
      const hold = (held: boolean) => this.agent.holdLane(id, held);
      this.#members.set(id, { id, member: peer, epoch, maxPayload, send, hold });
    }
  }

  /** Lets calls flow to the primary of `epoch`; `false` as long as there is no lane to it. */
  openToPrimary(epoch: number): boolean {
    const lane = this.#toPrimary;
    if (lane?.epoch !== epoch) {
      return false;
    }
    const { telling } = this;
    this.outgoing.open({
      ...lane,
      isTelling: () => telling[0] === 1,
      send: payload => this.#send(lane.id, FrameKind.Calls, payload, false),
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

  receive(lane: number, kind: number, payload: Encoded): void {
    if (kind === FrameKind.Replies) {
      this.outgoing.receive(lane, payload);
      return;
    }
    const member = this.#members.get(lane);
    if (member) {
      this.incoming.receive(member, payload);
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
