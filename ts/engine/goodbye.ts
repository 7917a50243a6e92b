/**
 * A process that exits with code 0 has left its groups in order: the others do not take it for dead. Any other code, an
 * uncaught error or a signal is no goodbye.
 */
import type { NativeAgent } from '../native';

const agents = new Set<NativeAgent>();

export function sayGoodbyeAtExit(agent: NativeAgent): void {
  if (agents.size === 0) {
    process.on('exit', onExit);
  }
  agents.add(agent);
}

/** It has left. */
export function forgetGoodbye(agent: NativeAgent): void {
  agents.delete(agent);
  if (agents.size === 0) {
    process.off('exit', onExit);
  }
}

function onExit(code: number): void {
  if (code === 0) {
    for (const agent of agents) {
      // Nothing that is started now would be finished: this returns when it is done, which takes milliseconds.
      agent.end();
    }
  }
}
