/**
 * Reads a metric's numbers from where prom-client keeps them, in the order of the series that were described last.
 * `get()` makes an object and labels for each number; here nothing is made while the set of series stays the same.
 */
import type { Exemplars } from './exemplars';
import { type LabelTexts, labelsJson, labelsKey, sameLabels, textsOf, Unfit, withDefaults } from './labels';
import type { Entry, Metric, Observations } from './registry-types';

export abstract class DirectReader {
  /** The labels that each entry had when it was described, without the registry's. */
  #labels: LabelTexts[] = [];
  /** The objects that said so, or the same in other words. */
  #said: Entry['labels'][] = [];
  #known: readonly Entry[] = [];

  protected constructor(
    protected readonly metric: Metric,
    /** Series of one entry. */
    protected readonly width: number,
  ) {}

  get columns(): number {
    return this.#known.length * this.width;
  }

  /** Looks at what there is now: false when these are other series than those described. */
  look(): boolean {
    const entries = this.entries();
    this.#known = entries;
    if (entries.length !== this.#labels.length) {
      return false;
    }
    const said = this.#said;
    for (let i = 0; i < entries.length; i++) {
      const { labels } = entries[i];
      // prom-client never changes such an object; a gauge gets a new one each time it is set, in 14 and 15.
      if (labels !== said[i]) {
        if (!sameLabels(this.#labels[i], labels)) {
          return false;
        }
        said[i] = labels;
      }
    }
    return true;
  }

  /** The JSON of each series of what was looked at. Throws `Unfit`, for instance where a series comes twice. */
  describe(defaults: LabelTexts): string[] {
    const keys = new Set<string>();
    const series: string[] = [];
    const labels = this.#known.map(entry => textsOf(entry.labels));
    for (const entry of this.#known) {
      const texts = withDefaults(entry.labels ?? {}, defaults);
      if (keys.size === keys.add(labelsKey(texts)).size) {
        throw new Unfit(`the series {${labelsJson(texts)}} comes twice`);
      }
      this.series(labelsJson(texts), series);
    }
    this.#labels = labels;
    this.#said = this.#known.map(entry => entry.labels);
    return series;
  }

  /** Puts the numbers of what was looked at into `values`. */
  write(values: Float64Array): void {
    const known = this.#known;
    const { width } = this;
    for (let i = 0; i < known.length; i++) {
      this.numbers(known[i], values, i * width);
    }
  }

  exemplars(at: number, exemplars: Exemplars): void {
    for (let i = 0; i < this.#known.length; i++) {
      this.exemplarsOf(this.#known[i], at + i * this.width, exemplars);
    }
  }

  protected abstract series(labels: string, series: string[]): void;
  protected abstract numbers(entry: Entry, values: Float64Array, at: number): void;
  protected exemplarsOf(_entry: Entry, _at: number, _exemplars: Exemplars): void {}

  private entries(): readonly Entry[] {
    const { hashMap, store } = this.metric;
    return hashMap ? Object.values(hashMap) : store ? Array.from(store.values()) : [];
  }
}

/** A reader for what `type` keeps, unless a metric does not look like that. */
export function directReader(metric: Metric, type: string): DirectReader | undefined {
  if (!hasPlainGet(metric) || (typeof metric.hashMap !== 'object' && typeof metric.store?.values !== 'function')) {
    return undefined;
  }
  switch (type) {
    case 'counter':
    case 'gauge':
      return new NumberReader(metric);
    case 'histogram':
      return Array.isArray(metric.upperBounds) ? new HistogramReader(metric, metric.upperBounds) : undefined;
    case 'summary':
      return metric.pruneAgedBuckets ? undefined : new SummaryReader(metric);
    default:
      return undefined;
  }
}

/** Nobody has put a `get()` of their own before the class's, which may do more than read. */
function hasPlainGet(metric: Metric): boolean {
  let count = Object.hasOwn(metric, 'get') ? 2 : 0;
  for (let proto = Object.getPrototypeOf(metric); proto !== null; proto = Object.getPrototypeOf(proto)) {
    count += Object.hasOwn(proto, 'get') ? 1 : 0;
  }
  return count === 1;
}

class NumberReader extends DirectReader {
  constructor(metric: Metric) {
    super(metric, 1);
  }

  protected series(labels: string, series: string[]): void {
    series.push(`["",{${labels}}]`);
  }

  protected numbers(entry: Entry, values: Float64Array, at: number): void {
    values[at] = entry.value as number;
  }

  protected override exemplarsOf(entry: Entry, at: number, exemplars: Exemplars): void {
    exemplars.add(at, entry.exemplar);
  }
}

class HistogramReader extends DirectReader {
  readonly #bounds: readonly string[];

  constructor(metric: Metric, bounds: readonly number[]) {
    super(metric, bounds.length + 3);
    this.#bounds = bounds.map(String);
  }

  protected series(labels: string, series: string[]): void {
    const rest = labels === '' ? '' : `,${labels}`;
    for (const bound of this.#bounds) {
      series.push(`["_bucket",{"le":"${bound}"${rest}}]`);
    }
    series.push(`["_bucket",{"le":"+Inf"${rest}}]`, `["_sum",{${labels}}]`, `["_count",{${labels}}]`);
  }

  protected numbers(entry: Entry, values: Float64Array, at: number): void {
    const bucketValues = entry.bucketValues as Record<string, number>;
    const bounds = this.#bounds;
    let total = 0;
    for (let i = 0; i < bounds.length; i++) {
      total += bucketValues[bounds[i]];
      values[at + i] = total;
    }
    const end = at + bounds.length;
    values[end] = values[end + 2] = entry.count as number;
    values[end + 1] = entry.sum as number;
  }

  protected override exemplarsOf({ bucketExemplars }: Entry, at: number, exemplars: Exemplars): void {
    if (bucketExemplars) {
      this.#bounds.forEach((bound, i) => {
        exemplars.add(at + i, bucketExemplars[bound]);
      });
      exemplars.add(at + this.#bounds.length, bucketExemplars['-1']);
    }
  }
}

/** Sums and counts. Quantiles must be computed, which is what `get()` is for. */
class SummaryReader extends DirectReader {
  constructor(metric: Metric) {
    super(metric, 2);
  }

  protected series(labels: string, series: string[]): void {
    series.push(`["_sum",{${labels}}]`, `["_count",{${labels}}]`);
  }

  protected numbers(entry: Entry, values: Float64Array, at: number): void {
    const { sum, count } = (typeof entry.value === 'object' ? entry.value : entry) as Observations;
    values[at] = sum;
    values[at + 1] = count;
  }
}
