/**
 * Large copies are freed when they have served, not when they are collected. V8 counts them as growth of its heap, and
 * marks all that an application has after every 16 MB of it: that took a third of the time of calls with 1 MB.
 */
import type { Encoded } from '../codec';
import type { NativeAgent } from '../native';

/** What is smaller costs less than the call that frees it. */
const LARGE = 64 * 1024;

/** Frees what was encoded here, and is read by nobody any more. */
export function discard(agent: NativeAgent, encoded: Encoded): void {
  // Nothing else may lie in the same memory.
  if (typeof encoded !== 'string' && encoded.length >= LARGE && encoded.length === encoded.buffer.byteLength) {
    agent.discard(encoded.buffer as ArrayBuffer);
  }
}
