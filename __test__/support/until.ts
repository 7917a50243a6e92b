interface UntilOptions {
  /** Said in the error when the time is up: "waited 15000 ms for <what>". */
  what: string;
  timeout?: number;
  every?: number;
}

/** Thrown by a question of `until`: asking again can't help. */
export class Hopeless extends Error {}

/** Asks again and again until the answer is truthy. A question that throws counts as "not yet". */
export async function until<T>(ask: () => T | Promise<T>, options: UntilOptions): Promise<NonNullable<T>> {
  const { what, timeout = 15_000, every = 50 } = options;
  const deadline = Date.now() + timeout;
  let last: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer) {
        return answer;
      }
      last = answer;
    } catch (error) {
      if (error instanceof Hopeless) {
        throw error;
      }
      last = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`waited ${timeout} ms for ${what}; the last answer was: ${describe(last)}`);
    }
    await new Promise(resolve => setTimeout(resolve, every));
  }
}

/** Ends a wait for something that may never come. */
export async function within<T>(promise: Promise<T>, options: { what: string; timeout: number }): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${options.timeout} ms for ${options.what}`)), options.timeout);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function describe(value: unknown): string {
  return value instanceof Error ? value.message : (JSON.stringify(value) ?? String(value));
}
