/**
 * What is known of prom-client 14 and 15, and of its successor `@prometheus-io/client`: nothing is imported from them,
 * because the application's own copy is the one that has the numbers. The first part is public there. The second part
 * is not, so every metric is checked against its own `get()` before anything is read that way (see `metric-source.ts`).
 */

export interface Registry {
  /** Metrics; but prom-client's own types do not say what theirs have. */
  getMetricsAsArray(): readonly object[];
  /** Not in 14, where it is always the text format. */
  readonly contentType?: string;
  /** Not public; the same in all. */
  readonly _defaultLabels?: object;
}

export interface Metric extends Partial<Internals> {
  readonly name: string;
  readonly help: string;
  /** Not in 14. */
  readonly type?: string;
  readonly aggregator?: string;
  /** Only 15 and later, and only in OpenMetrics registries. */
  readonly enableExemplars?: boolean;
  /** The user's own callback. `get()` calls it first. */
  readonly collect?: (() => unknown) | undefined;
  get(): PromiseLike<MetricJson> | MetricJson;
}

export interface MetricJson {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly aggregator?: string;
  readonly values?: readonly ValueJson[];
}

export interface ValueJson {
  readonly labels?: Labels;
  readonly value: number;
  /** Where it is not the metric's own: with `_bucket`, `_sum` or `_count` at its end. */
  readonly metricName?: string;
  readonly exemplar?: ClientExemplar | null;
}

export type Labels = Readonly<Record<string, unknown>>;

export interface ClientExemplar {
  readonly labelSet: Labels;
  readonly value: number;
  /** Seconds since 1970. */
  readonly timestamp?: number;
}

/** How numbers are kept. */
interface Internals {
  /** 14 and 15: by labels, in the order in which they came. */
  readonly hashMap: Readonly<Record<string, Entry>>;
  /** `@prometheus-io/client`: the same behind methods. */
  readonly store: { values(): Iterable<Entry> };
  /** A histogram's bounds, without `+Inf`. */
  readonly upperBounds: readonly number[];
  /** A summary's `get()` then deletes what is too old. */
  readonly pruneAgedBuckets: boolean;
}

/** One set of labels. A gauge gets a new one each time it is set, in 14 and 15. */
export interface Entry {
  readonly labels?: Labels;
  /** A counter's or gauge's number; a summary's observations in `@prometheus-io/client`. */
  readonly value?: number | Observations;
  readonly sum?: number;
  readonly count?: number;
  /** By bound; not cumulative. */
  readonly bucketValues?: Readonly<Record<string, number>>;
  readonly exemplar?: ClientExemplar | null;
  /** By bound; '-1' is `+Inf`. */
  readonly bucketExemplars?: Readonly<Record<string, ClientExemplar | null>>;
}

export interface Observations {
  readonly sum: number;
  readonly count: number;
}

export function isRegistry(value: unknown): value is Registry {
  return typeof (value as Partial<Registry> | null | undefined)?.getMetricsAsArray === 'function';
}

export function isMetric(value: unknown): value is Metric {
  const metric = value as Partial<Metric> | null | undefined;
  return typeof metric?.get === 'function' && typeof metric.name === 'string';
}

export function speaksOpenMetrics(registry: Registry): boolean {
  return typeof registry.contentType === 'string' && registry.contentType.startsWith('application/openmetrics-text');
}
