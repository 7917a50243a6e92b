/**
 * What was thrown, as plain data that either codec can carry: an error arrives as the class that was thrown when the
 * receiving process knows it, else as the nearest ancestor that it knows, and no user's constructor is run to make it.
 * Anything else arrives as what it is.
 */
import { types } from 'node:util';
import { ProcessAgentError } from '../agentError';
import { type ErrorHead, type ErrorRow, ErrorRows, LEFT_OUT, makeErrors } from './errorRows';
import { whyUncopyable } from './kinds';

/**
 * What was thrown. An error in it is a mark: an object whose only key is `MARK`, with the number of its head and row. An
 * object of the user's that has no other key either would be one, too, so it is escaped: it travels with `ESCAPE` before
 * that key.
 */
export interface PlainError {
  thrown: unknown;
  heads?: ErrorHead[];
  rows?: ErrorRow[];
  /** Objects of the user's are escaped in it. Without it nothing is, as in what older versions of this package write. */
  escaped?: true;
}

const MARK = '$processAgentError';
const ESCAPE = '$';
/** The only key of a mark, or of what is, or was, escaped. */
const LOOKS_LIKE_MARK = /^\$+processAgentError$/;

/** `thrown` as plain data. Never throws, whatever getters it has. */
export function encodeError(thrown: unknown): PlainError {
  const lookalikes: object[] = [];
  const errors = new ErrorRows(
    row => ({ [MARK]: row }),
    new Map(),
    copy => {
      if (lookalikeKey(copy)) {
        lookalikes.push(copy);
      }
    },
  );
  const copy = errors.copy(thrown);
  if (copy === LEFT_OUT) {
    return encodeError(
      new ProcessAgentError(
        'ERR_AGENT_NOT_SERIALIZABLE',
        `The method has thrown ${kindOf(thrown)}, which can't be sent to another process.`,
        { outcome: 'executed' },
      ),
    );
  }
  errors.finish();
  const { heads, rows } = errors;
  if (heads.length === 0) {
    // Without errors there are no marks, and nothing is taken for one.
    return { thrown: copy };
  }
  for (const each of lookalikes) {
    rename(each, key => ESCAPE + key);
  }
  return { thrown: copy, heads, rows, ...(lookalikes.length > 0 && { escaped: true }) };
}

/**
 * What `plain` describes. `calledFrom` is a stack of this process, which is shown below the remote one.
 */
export function decodeError(plain: PlainError, calledFrom?: string): unknown {
  try {
    const { thrown, heads, rows, escaped } = Object(plain) as PlainError;
    if (!heads) {
      return thrown;
    }
    const errors = makeErrors(heads);
    const seen = new Set<object>();
    const revive = (value: unknown) => reviveIn(value, errors.all, escaped === true, seen);
    errors.fill(rows, revive);
    const revived = revive(thrown);
    if (revived === errors.all[0]) {
      joinStacks(errors.all[0], calledFrom);
    }
    return revived;
  } catch (error) {
    // Bytes that nobody of this package has written.
    return error;
  }
}

/** Turns marks inside `value` into their errors, and takes escapes away, in place: it is our own copy. */
function reviveIn(value: unknown, errors: Error[], escaped: boolean, seen: Set<object>): unknown {
  if (typeof value !== 'object' || value === null || seen.has(value)) {
    return value;
  }
  const key = lookalikeKey(value);
  if (key === MARK) {
    const row = (value as Record<string, unknown>)[MARK];
    if (typeof row === 'number' && errors[row]) {
      return errors[row];
    }
  } else if (key && escaped) {
    rename(value, each => each.slice(ESCAPE.length));
  }
  seen.add(value);
  const revive = (each: unknown) => reviveIn(each, errors, escaped, seen);
  if (types.isMap(value)) {
    const entries = [...value];
    value.clear();
    for (const [key, each] of entries) {
      value.set(revive(key), revive(each));
    }
  } else if (types.isSet(value)) {
    const entries = [...value];
    value.clear();
    for (const each of entries) {
      value.add(revive(each));
    }
  } else if (!ArrayBuffer.isView(value)) {
    for (const [key, each] of Object.entries(value)) {
      const revived = revive(each);
      if (revived !== each) {
        Object.defineProperty(value, key, { value: revived });
      }
    }
  }
  return value;
}

/** The only key of an object that looks like a mark; `undefined` when it does not look like one. */
function lookalikeKey(value: object): string | undefined {
  // A view has a key for each byte.
  const keys = ArrayBuffer.isView(value) ? [] : Object.keys(value);
  return keys.length === 1 && LOOKS_LIKE_MARK.test(keys[0]) ? keys[0] : undefined;
}

/** Gives the only field of `value` another name. */
function rename(value: object, change: (key: string) => string): void {
  const [[key, each]] = Object.entries(value);
  delete (value as Record<string, unknown>)[key];
  (value as Record<string, unknown>)[change(key)] = each;
}

function joinStacks(error: Error, calledFrom: string | undefined): void {
  const frames = calledFrom?.slice(Math.max(0, calledFrom.search(/^ {4}at /m)));
  Object.defineProperty(error, 'stack', {
    value: `${error.stack}\n    --- called from pid ${process.pid} ---${frames ? `\n${frames}` : ''}`,
  });
}

function kindOf(thrown: unknown): string {
  try {
    return typeof thrown === 'object' && thrown !== null
      ? (whyUncopyable(thrown) ?? Object.prototype.toString.call(thrown))
      : `a ${typeof thrown}`;
  } catch {
    return 'a proxy';
  }
}
