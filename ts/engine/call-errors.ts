/** What a call of this process is rejected with, and why. */
import { type CallOutcome, decodeError, type PlainError, ProcessAgentError } from '../errors';
import { readable } from '../prefix';

/** How a lane has ended, as the Rust side tells it. */
export interface LaneEnd {
  /** How many of our frames were handed to the operating system whole. */
  written: number;
  /** How many of them a primary that gave its role up has accepted; `null` when it just died. */
  accepted: number | null;
  /** It gave up because its event loop was stuck. */
  relieved: boolean;
}

/**
 * What a method threw in the primary. Its stack goes on with the one of now. `mayHaveRun`: the call was sent to another
 * primary before, which has died.
 */
export function decodeThrown(plain: PlainError, mayHaveRun: boolean): unknown {
  const error = decodeError(plain, new Error().stack);
  if (mayHaveRun && error instanceof ProcessAgentError && error.outcome === 'not-sent') {
    // This primary has not run it; the one before may have.
    Object.defineProperty(error, 'outcome', { value: 'unknown' });
  }
  return error;
}

/** What became of a call that ends without a reply, in words. */
function fateOf(outcome: CallOutcome): string {
  return outcome === 'not-sent' ? 'it was not sent' : 'it may have run';
}

/** `name` is what ends, or is refused, because the application has left its group. */
export function closedError(outcome: CallOutcome, name: string): ProcessAgentError {
  const when = outcome === 'not-sent' ? '' : ' before the reply came (processAgent.stopTimeout)';
  const message = `${readable(name)}: the application has left its group${when}; ${fateOf(outcome)}.`;
  return new ProcessAgentError('ERR_AGENT_CLOSED', message, { outcome });
}

export function aborted(name: string, signal: AbortSignal, outcome: CallOutcome): ProcessAgentError {
  const message = `${readable(name)}: aborted by its caller's signal; ${fateOf(outcome)}.`;
  return new ProcessAgentError('ERR_AGENT_ABORTED', message, { outcome, cause: signal.reason });
}

/** What has run for a question to all gives a stream: nobody reads one of a member that is not primary. */
export function streamRefused(name: string): ProcessAgentError {
  const message = `${readable(name)}: the result is an async iterable. Only the primary can answer with a stream, to a call.`;
  return new ProcessAgentError('ERR_AGENT_NOT_SERIALIZABLE', message, { outcome: 'executed' });
}

export function lost(name: string, { accepted, relieved }: LaneEnd): ProcessAgentError {
  const why = relieved
    ? 'the primary was relieved, because its event loop was stuck (processAgent.primary.maxBlocked), before it replied; the call has begun to run.'
    : accepted === null
      ? 'the primary died, or the connection to it ended, before it replied; the call may have run.'
      : 'the primary gave its role up before the call had finished (processAgent.stopTimeout); it has begun, and may run on.';
  return new ProcessAgentError('ERR_AGENT_PRIMARY_LOST', `${readable(name)}: ${why}`, { outcome: 'unknown' });
}

export function timedOut(name: string, timeout: number, outcome: CallOutcome): ProcessAgentError {
  const message = `${readable(name)}: no reply within its timeout of ${timeout} ms; ${fateOf(outcome)}.`;
  return new ProcessAgentError('ERR_AGENT_TIMEOUT', message, { outcome });
}
