/**
 * Runs what is not this package's own: loggers, listeners, hooks. What it throws costs its own work alone, whatever was
 * thrown.
 */

/**
 * The result of `work`, `undefined` if it throws. `failed` is told what it throws, or what its promise rejects with. Throws
 * only what `failed` throws.
 */
export function guarded<T>(work: () => T, failed: (error: unknown) => void): T | undefined {
  try {
    const result = work();
    // Nobody waits for it: without this, its failure would end the process.
    if (isThenable(result)) {
      result.then(undefined, failed);
    }
    return result;
  } catch (error) {
    failed(error);
    return undefined;
  }
}

const NO_TEXT = 'something was thrown that has no text';

/** The message of an error, or what was thrown as text. Never throws, whatever was thrown. */
export function messageOf(error: unknown): string {
  try {
    return String((error as { message?: unknown } | null | undefined)?.message ?? error);
  } catch {
    return NO_TEXT;
  }
}

/** An error with its name, or what was thrown as text. Never throws, whatever was thrown. */
export function textOf(error: unknown): string {
  try {
    return String(error);
  } catch {
    return NO_TEXT;
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function';
}
