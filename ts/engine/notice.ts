/** What the Rust side tells, as `src/notice.rs` and `src/ipc/parcel.rs` write it. */
import type { Member } from '../interface';
import type { Carrier, Standing } from './engine';

export type Notice =
  /** With a body when the previous primary has left a state. */
  | { type: 'elected'; epoch: number; id: number; dead: Member[] }
  /** `members` are all but the primary, this process too. */
  | {
      type: 'following';
      epoch: number;
      id: number;
      primary: Member;
      members: Member[];
      dead: Member[];
      maxPayload: number;
    }
  | { type: 'finishing' }
  | { type: 'leaderless'; written: number; taken: number | null }
  | { type: 'primary-ready'; epoch: number }
  | { type: 'primary-frozen'; silentMs: number }
  | { type: 'primary-thawed' }
  | { type: 'ping' }
  | {
      type: 'lane-open';
      lane: number;
      epoch: number;
      peer: number;
      callsUs: boolean;
      protocol: number;
      maxPayload: number;
    }
  | { type: 'lane-closed'; lane: number; written: number; accepted: number | null; relieved: boolean }
  | { type: 'member-joined'; member: Member }
  | { type: 'member-left'; member: Member }
  | { type: 'member-state'; id: number; state: Member['state'] }
  | { type: 'members'; request: number; members: Member[] }
  | { type: 'health'; request: number; members: Standing[] }
  /** With a body. */
  | { type: 'parcel'; parcel: IncomingParcel }
  | { type: 'log'; level: 'debug' | 'info' | 'warn' | 'error'; message: string }
  | { type: 'failed'; code: string; message: string }
  | { type: 'closed' };

/** What comes from the broker. */
export type IncomingParcel =
  | { type: 'ask'; gather: number; name: string; from: Member; carrier?: Carrier; json?: boolean }
  | { type: 'outcome'; request: number; member: Member; status: number }
  /** Its body has those who have not answered. */
  | { type: 'gathered'; request: number; asker: Member }
  | { type: 'topic'; topic: string; from: Member }
  | { type: 'published'; request: number }
  | { type: 'collect'; scrape: number }
  | { type: 'want-schema'; scrape?: number }
  /** With the exposition as its body, unless it has failed. */
  | { type: 'scraped'; request: number; problems: string[]; failure?: string };

export interface Missing {
  member: Member;
  reason: 'timeout' | 'lost' | 'too-large' | 'answer-too-large';
}

/** What goes to the broker. */
export type OutgoingParcel =
  | { type: 'gather'; request: number; name: string; timeoutMs: number; carrier?: Carrier }
  | { type: 'publish'; request: number; topic: string }
  | { type: 'answer'; gather: number; status: number }
  | {
      type: 'scrape';
      request: number;
      timeoutMs: number;
      openMetrics: boolean;
      membersApart: boolean;
      slots: boolean;
      maxQuantiles: boolean;
      /** Its own numbers come right behind. */
      tells: boolean;
    };
