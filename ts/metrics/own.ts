/**
 * What this process counts of its own calls, as a registry beside the application's: plain numbers, because a call may
 * take a microsecond. Names are described in `docs/metrics.md`; those that only the broker knows are in
 * `src/metrics/own.rs`.
 */
import { ProcessAgentError } from '../errors';
import type { Entry, MetricJson, Registry, ValueJson } from './registry-types';

/** Upper bounds (seconds) of the buckets of calls' durations. */
const BOUNDS = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5, 30];

/** How calls end, in the order in which they are told. */
const OUTCOMES = ['ok', 'not-sent', 'unknown', 'executed'] as const;

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
  readonly #metrics: readonly OwnMetric[];

  /** `pending` says how many calls wait for their outcome, `traffic` how many bytes calls and replies have had. */
  constructor(
    private readonly pending: () => number,
    traffic: { readonly bytesIn: number; readonly bytesOut: number },
  ) {
    const one = (read: () => number, labels = {}) => ({
      labels,
      get value() {
        return read();
      },
    });
    this.#metrics = [
      new OwnMetric('counter', 'process_agent_role_changes_total', 'Times that a member became primary or a worker.', [
        one(() => this.roleChanges),
      ]),
      new OwnMetric(
        'counter',
        'process_agent_calls_total',
        'Calls of members to the primary, by how they ended.',
        OUTCOMES.map(outcome => one(() => this.#calls[outcome], { outcome })),
      ),
      new OwnMetric(
        'histogram',
        'process_agent_call_duration_seconds',
        'How long calls to the primary took; of many at once a sixteenth is measured.',
        [this.#durations()],
        BOUNDS,
      ),
      new OwnMetric(
        'counter',
        'process_agent_bytes_total',
        'Bytes of calls and replies that a member has received from others, and sent to them.',
        [one(() => traffic.bytesIn, { direction: 'in' }), one(() => traffic.bytesOut, { direction: 'out' })],
      ),
      new OwnMetric('gauge', 'process_agent_queue_depth', 'Calls that wait for their outcome.', [
        one(() => this.pending()),
      ]),
    ];
  }

  getMetricsAsArray(): readonly object[] {
    return this.#metrics;
  }

  /** A call is made. Returns what its end is to be told with; `undefined` if it is not measured. */
  begin(): number | undefined {
    return (this.#made++ & MASK) === 0 || this.pending() < FEW ? performance.now() : undefined;
  }

  succeeded(began: number | undefined): void {
    this.#calls.ok++;
    if (began !== undefined) {
      this.#observe(began);
    }
  }

  failed(began: number | undefined, error: unknown): void {
    this.#calls[error instanceof ProcessAgentError ? (error.outcome ?? 'unknown') : 'executed']++;
    if (began !== undefined) {
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

  #durations(): Entry {
    const buckets = this.#buckets;
    const bucketValues: Record<string, number> = {};
    for (const [i, bound] of BOUNDS.entries()) {
      Object.defineProperty(bucketValues, bound, { enumerable: true, get: () => buckets[i] });
    }
    const seconds = () => this.#seconds;
    return {
      labels: {},
      bucketValues,
      get sum() {
        return seconds();
      },
      get count() {
        return buckets.reduce((sum, count) => sum + count);
      },
    };
  }
}

/** Keeps its numbers where prom-client's metrics have theirs: so it is read as directly as they are. */
class OwnMetric {
  readonly hashMap: Readonly<Record<string, Entry>>;

  constructor(
    readonly type: string,
    readonly name: string,
    readonly help: string,
    entries: Entry[],
    readonly upperBounds?: readonly number[],
  ) {
    this.hashMap = Object.fromEntries(entries.entries());
  }

  get(): MetricJson {
    const { name, help, type } = this;
    return { name, help, type, values: Object.values(this.hashMap).flatMap(entry => this.#valuesOf(entry)) };
  }

  #valuesOf({ labels, value, bucketValues, sum = 0, count = 0 }: Entry): ValueJson[] {
    const { name, upperBounds } = this;
    if (!upperBounds || !bucketValues) {
      return [{ labels, value: value as number }];
    }
    let below = 0;
    const buckets = upperBounds.map(le => {
      below += bucketValues[le];
      return { metricName: `${name}_bucket`, labels: { le }, value: below };
    });
    return [
      ...buckets,
      { metricName: `${name}_bucket`, labels: { le: '+Inf' }, value: count },
      { metricName: `${name}_sum`, labels: {}, value: sum },
      { metricName: `${name}_count`, labels: {}, value: count },
    ];
  }
}
