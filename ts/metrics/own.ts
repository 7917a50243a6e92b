/**
 * What this process counts of its own calls, as a registry beside the application's: plain numbers, because a call may
 * take a microsecond. Names are described in `docs/metrics.md`; those that only the broker knows are in
 * `src/metrics/own.rs`.
 */
import { ProcessAgentError } from '../errors';
import type { MetricJson, Registry, ValueJson } from './registry-types';

/** Upper bounds (seconds) of the buckets of calls' durations. */
const BOUNDS = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5, 30];

/** With more calls at once than this, one of so many is measured. */
const FEW = 8;
const MASK = 15;

export class OwnMetrics implements Registry {
  /** How often this process has become primary or a worker. */
  roleChanges = 0;
  readonly #calls = { ok: 0, 'not-sent': 0, unknown: 0, executed: 0 };
  readonly #buckets: number[] = new Array(BOUNDS.length + 1).fill(0);
  #seconds = 0;
  #made = 0;
  readonly #metrics: readonly object[];

  /** `pending` says how many calls wait for their outcome. */
  constructor(private readonly pending: () => number) {
    const metric = (type: string, name: string, help: string, values: () => ValueJson[]) => ({
      name,
      help,
      type,
      get: (): MetricJson => ({ name, help, type, values: values() }),
    });
    this.#metrics = [
      metric('counter', 'process_agent_role_changes_total', 'Times that a member became primary or a worker.', () => [
        { labels: {}, value: this.roleChanges },
      ]),
      metric('counter', 'process_agent_calls_total', 'Calls of members to the primary, by how they ended.', () =>
        Object.entries(this.#calls).map(([outcome, value]) => ({ labels: { outcome }, value })),
      ),
      metric(
        'histogram',
        DURATION,
        'How long calls to the primary took; of many at once a sixteenth is measured.',
        () => this.#durations(),
      ),
      metric('gauge', 'process_agent_queue_depth', 'Calls that wait for their outcome.', () => [
        { labels: {}, value: this.pending() },
      ]),
    ];
  }

  getMetricsAsArray(): readonly object[] {
    return this.#metrics;
  }

  /** A call is made. Returns what its end is to be told with. */
  begin(): number {
    return (this.#made++ & MASK) === 0 || this.pending() < FEW ? performance.now() : 0;
  }

  succeeded(began: number): void {
    this.#calls.ok++;
    if (began > 0) {
      this.#observe(began);
    }
  }

  failed(began: number, error: unknown): void {
    this.#calls[error instanceof ProcessAgentError ? (error.outcome ?? 'unknown') : 'executed']++;
    if (began > 0) {
      this.#observe(began);
    }
  }

  #observe(began: number): void {
    const seconds = (performance.now() - began) / 1000;
    let bucket = 0;
    while (bucket < BOUNDS.length && seconds > BOUNDS[bucket]) {
      bucket++;
    }
    this.#buckets[bucket]++;
    this.#seconds += seconds;
  }

  #durations(): ValueJson[] {
    let below = 0;
    const values: ValueJson[] = this.#buckets.map((count, i) => {
      below += count;
      const le = BOUNDS[i] ?? '+Inf';
      return { metricName: `${DURATION}_bucket`, labels: { le }, value: below };
    });
    values.push({ metricName: `${DURATION}_sum`, labels: {}, value: this.#seconds });
    values.push({ metricName: `${DURATION}_count`, labels: {}, value: below });
    return values;
  }
}

const DURATION = 'process_agent_call_duration_seconds';
