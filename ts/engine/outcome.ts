/** What a method has returned or thrown, as it travels: a status and an encoded value. */
import { type Encoded, encode, sizeOf } from '../codec';
import { type CallOutcome, encodeError, ProcessAgentError, withName } from '../errors';
import { readable } from '../prefix';
import { Status } from './wire';

export interface EncodedOutcome {
  status: number;
  value: Encoded;
}

/** What status stands for a value, and what for undefined. */
export interface ValueStatus {
  value: number;
  undefined: number;
}

/** Of a result. */
export const RESULT: ValueStatus = { value: Status.Value, undefined: Status.Undefined };

/**
 * A value. One that can't be sent, or takes more than `limit` bytes, becomes an error that says so, with the outcome
 * `executed`: what has made it did run.
 */
export function encodeValue(
  name: string,
  value: unknown,
  limit: number,
  status: ValueStatus,
  room = 0,
): EncodedOutcome {
  if (value === undefined) {
    return { status: status.undefined, value: 'null' };
  }
  try {
    const encoded = encode(value, 'result', room);
    const size = sizeOf(encoded, limit + room);
    return size > limit + room
      ? encodeThrown(tooLarge(name, 'result', size, limit, 'executed'), limit, room)
      : { status: status.value, value: encoded };
  } catch (error) {
    return encodeThrown(withName(name, error, 'executed'), limit, room);
  }
}

/** Never throws: what can't travel of an error is left out. */
export function encodeThrown(error: unknown, limit: number, room = 0): EncodedOutcome {
  let words = 'an error that has no message';
  try {
    const encoded = encode(encodeError(error), 'error', room);
    if (sizeOf(encoded, limit + room) <= limit + room) {
      return { status: Status.Thrown, value: encoded };
    }
    words = error instanceof Error ? `${error.name}: ${error.message}` : typeof error;
  } catch {
    // Falls through to the least that can be said.
  }
  const least = new ProcessAgentError(
    'ERR_AGENT_NOT_SERIALIZABLE',
    `The method threw an error that can't be sent to another process: ${words.slice(0, 1000)}`,
    { outcome: 'executed' },
  );
  return { status: Status.Thrown, value: encode(encodeError(least), 'error', room) };
}

export function tooLarge(
  name: string,
  what: string,
  size: number,
  limit: number,
  outcome: CallOutcome,
): ProcessAgentError {
  return new ProcessAgentError(
    'ERR_AGENT_TOO_LARGE',
    `${readable(name)}: the ${what} take${what.endsWith('s') ? '' : 's'} ${size} bytes, over the limit of ${limit} ` +
      '(processAgent.maxPayload).',
    { outcome },
  );
}
