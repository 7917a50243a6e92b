/**
 * `strictCopy`: what a method takes and returns in the primary is encoded once more and thrown away, to find, in one
 * process, what would fail in a cluster.
 */
import { types } from 'node:util';
import { encode } from './codec';
import type { EngineLogger } from './engine/engine';
import { type CallOutcome, ProcessAgentError } from './errors';
import { messageOf } from './guard';
import { isAsyncIterable } from './stream';

/** Lines in the log for one method: paths hold indices, and there may be as many as elements. */
const MAX_WARNINGS = 10;

export class StrictCopy {
  readonly #mode: 'warn' | 'error';
  readonly #logger: EngineLogger;
  /** What was said of each method. */
  readonly #said = new Map<string, Set<string>>();

  constructor(mode: 'warn' | 'error', logger: EngineLogger) {
    this.#mode = mode;
    this.#logger = logger;
  }

  /** Runs a method with its real arguments, and returns its real result. `name` is what warnings call it. */
  run(name: string, args: unknown[], run: () => unknown): unknown {
    this.check(name, 'args', args, 'not-sent');
    const result = run();
    if (types.isPromise(result)) {
      const checked = result.then(value => this.#checkResult(name, value));
      if (this.#mode === 'error') {
        return checked;
      }
      // The failure is the caller's.
      checked.catch(() => {});
      return result;
    }
    // Others that can be awaited, such as database queries, may run once for each `then()`.
    return typeof (result as PromiseLike<unknown> | null | undefined)?.then === 'function'
      ? result
      : this.#checkResult(name, result);
  }

  /** Throws in the mode `error`, if `value` can't be sent. */
  check(name: string, what: string, value: unknown, outcome: CallOutcome): void {
    try {
      encode(value, what);
    } catch (err) {
      const reason = messageOf(err);
      if (this.#mode === 'error') {
        throw new ProcessAgentError('ERR_AGENT_NOT_SERIALIZABLE', `${name}: ${reason}`, { outcome, cause: err });
      }
      this.#warn(name, reason);
    }
  }

  #checkResult(name: string, value: unknown): unknown {
    if (value !== undefined && !isAsyncIterable(value)) {
      this.check(name, 'result', value, 'executed');
    }
    return value;
  }

  #warn(name: string, reason: string): void {
    const said = this.#said.get(name) ?? new Set();
    this.#said.set(name, said);
    if (said.size < MAX_WARNINGS && !said.has(reason)) {
      said.add(reason);
      this.#logger.warn(
        '[process-agent] %s works in this process, and fails in one that is not the primary: %s (processAgent.strictCopy)',
        name,
        reason,
      );
    }
  }
}
