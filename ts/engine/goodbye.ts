/**
 * A process that exits with code 0, or that had begun to leave, has left its groups in order: the others do not take it
 * for dead. Any other code, an uncaught error or a signal is no goodbye.
 */
import type { NativeAgent } from '../native';

const agents = new Set<NativeAgent>();
/** Those of them that have been told to leave. */
const leaving = new Set<NativeAgent>();

export function sayGoodbyeAtExit(agent: NativeAgent): void {
  if (agents.size === 0) {
    process.on('exit', onExit);
  }
  agents.add(agent);
}

/** It has begun to leave: with whatever code its process exits, it has left in order. */
export function sayGoodbyeInAnyCase(agent: NativeAgent): void {
  if (agents.has(agent)) {
    leaving.add(agent);
  }
}

/** It has left. */
export function forgetGoodbye(agent: NativeAgent): void {
  agents.delete(agent);
  leaving.delete(agent);
  if (agents.size === 0) {
    process.off('exit', onExit);
  }
}

function onExit(code: number): void {
  for (const agent of code === 0 ? agents : leaving) {
    // Nothing that is started now would be finished: this returns when it is done, which takes milliseconds.
    agent.end();
  }
}
