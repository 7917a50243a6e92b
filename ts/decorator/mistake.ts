/** What decorators refuse. It is thrown while a class is loaded, and kept for when nobody shows it. */
import { ProcessAgentError } from '../errors';

let last: ProcessAgentError | undefined;

/** The error for a mistake in the use of a decorator, to be thrown. */
export function mistake(message: string): ProcessAgentError {
  last = new ProcessAgentError('ERR_AGENT_DECORATOR', message);
  return last;
}

/** Warns of the last mistake, once: an application was loaded without what has thrown it. */
export async function tellMistake(): Promise<void> {
  if (last) {
    process.emitWarning(
      `${last.message} That was thrown while a class was loaded. Midway 4 does not show what its configuration file ` +
        'throws, and goes on without that file, and so without a framework.',
      { type: 'ProcessAgentWarning', code: last.code, detail: last.stack?.split('\n').slice(1).join('\n') },
    );
    last = undefined;
    // Node says it in a tick of its own, and Midway is about to end the process.
    await new Promise<void>(resolve => process.nextTick(resolve));
  }
}
