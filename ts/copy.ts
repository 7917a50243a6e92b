/** Copies of values, as they would arrive in another process. */
import { decode, type Encoded, encode } from './codec';
import { withName } from './errors';

/** `what` names the value in errors. Throws `ERR_AGENT_NOT_SERIALIZABLE`. */
export function copyOf<T>(value: T, what: string): T {
  return value === undefined ? value : (decode(encode(value, what)) as T);
}

/** Encodes what is to be sent; what can't be is refused by the `name` of what it is for, too. */
export function encodeFor(name: string, value: unknown, what: string): Encoded {
  try {
    return encode(value, what);
  } catch (err) {
    throw withName(name, err, 'not-sent');
  }
}

/**
 * Takes a copy of `value` now and gives it later: for what has to wait before it is sent, when nobody knows yet whether
 * it will be. What can't be copied throws when it is asked for.
 */
export function snapshot<T>(name: string, value: T, what: string): () => T {
  let encoded: Encoded;
  try {
    encoded = encodeFor(name, value, what);
  } catch (err) {
    return () => {
      throw err;
    };
  }
  return () => decode(encoded) as T;
}
