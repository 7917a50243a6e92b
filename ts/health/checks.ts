/**
 * This process's own checks: the `onHealthCheck` of its configurations, except ours. Run when another member asks how
 * this one does; many who ask at once cause one run, and its answer does for a while.
 */
import { performance } from 'node:perf_hooks';
import { sharedController } from '../abort';
import { messageOf } from '../guard';
import type { HealthCheckResult } from '../interface';
import type { HealthCheck } from '../midway';

/** How long (ms) an answer is given again. */
const FRESH = 500;

/** What is wrong with an answer, in Midway's words. */
const NO_STATUS = 'configuration.onHealthCheck return value must be object and contain status field';

/** What a member says of itself. */
export interface CheckReport {
  checks: HealthCheckResult[];
  /** When the checks that fail now began to fail (ms since 1970). */
  failingSince?: number;
}

export class OwnChecks {
  #running: Promise<CheckReport> | undefined;
  #last: { report: CheckReport; until: number } | undefined;

  constructor(
    /** Configurations may be added as long as the application starts. */
    private readonly list: () => HealthCheck[],
  ) {}

  /** Each check may take `timeout` ms. Never rejects. */
  run(timeout: number): Promise<CheckReport> {
    if (this.#last && performance.now() < this.#last.until) {
      return Promise.resolve(this.#last.report);
    }
    this.#running ??= this.#run(timeout).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(timeout: number): Promise<CheckReport> {
    const abortController = sharedController();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${timeout} ms`)), timeout);
    });
    const results = await Promise.all(
      this.list().map(({ namespace, run }) =>
        outcomeOf(namespace, Promise.race([attempt(() => run(abortController, timeout)), late])),
      ),
    );
    clearTimeout(timer);
    // As Midway does when it has its answers: whoever has not answered need not go on.
    abortController.abort();
    const checks = results.filter(result => result !== undefined);
    const isFailing = checks.some(check => !check.status);
    const failingSince = isFailing ? (this.#last?.report.failingSince ?? Date.now()) : undefined;
    const report: CheckReport = { checks, failingSince };
    this.#last = { report, until: performance.now() + FRESH };
    return report;
  }
}

async function outcomeOf(namespace: string, answer: Promise<unknown>): Promise<HealthCheckResult | undefined> {
  try {
    const result = (await answer) as Partial<HealthCheckResult> | null | undefined;
    if (result === undefined) {
      // Midway 4 gives a functional configuration without the hook one that says nothing.
      return undefined;
    }
    if (result?.status === undefined) {
      return { namespace, status: false, reason: NO_STATUS };
    }
    return result.status
      ? { namespace, status: true }
      : { namespace, status: false, reason: String(result.reason ?? 'it gave no reason') };
  } catch (error) {
    return { namespace, status: false, reason: messageOf(error) };
  }
}

/** What a check that is not async throws is its answer, too. */
async function attempt(run: () => unknown): Promise<unknown> {
  return run();
}
