/** What the Rust side tells, as `src/inbox.rs` writes it. */
import type { Member } from '../interface';

export type Notice =
  | { type: 'elected'; epoch: number; id: number }
  | { type: 'following'; epoch: number; id: number; primary: Member }
  | { type: 'leaderless' }
  | { type: 'primary-ready'; epoch: number }
  | { type: 'lane-open'; lane: number; epoch: number; peer: number; callsUs: boolean; maxPayload: number }
  | { type: 'lane-closed'; lane: number; written: number; accepted: number | null }
  | { type: 'member-joined'; member: Member }
  | { type: 'member-left'; member: Member }
  | { type: 'member-state'; id: number; state: Member['state'] }
  | { type: 'members'; request: number; members: Member[] }
  | { type: 'log'; level: 'debug' | 'info' | 'warn' | 'error'; message: string }
  | { type: 'failed'; code: string; message: string }
  | { type: 'closed' };
