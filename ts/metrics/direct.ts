/**
 * Reads a metric's numbers from where prom-client keeps them, in the order of the series that were described last.
 * `get()` makes an object and labels for each number; here nothing is made while the set of series stays the same.
 */
import type { Exemplars } from './exemplars';
import { type LabelTexts, labelsJson, labelsKey, sameLabels, textsOf, Unfit, withDefaults } from './labels';
import type { Entry, Labels, Metric, Observations } from './registry-types';

export abstract class DirectReader {
  /** The labels that each entry had when it was described, without the registry's. */
  #labels: LabelTexts[] = [];
  /** The objects that these were read from. */
  #originals: readonly (Labels | undefined)[] = [];
  /** The keys under which a hash map has had them. */
  #keys: readonly string[] = [];
  /** No label's text has a comma: then two sets of labels with the same names and the same key have the same texts. */
  #isClear = true;
  /** What was looked at last, and what of it was described, or is the same. */
  #known: readonly Entry[] = [];
  #described: readonly Entry[] = [];

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
    const isSame = entries.length === this.#described.length && this.#areDescribed(entries);
    if (isSame) {
      this.#described = entries;
    }
    return isSame;
  }

  /**
   * A gauge gets a new entry each time it is set, in 14 and 15. An entry of `@prometheus-io/client` stays, but may get
   * other labels: `zero()` of a histogram replaces them, and `null`, `undefined` and `''` lead to one entry there.
   */
  #areDescribed(entries: readonly Entry[]): boolean {
    const described = this.#described;
    const originals = this.#originals;
    const isSame = this.#isClear && this.#hasSameKeys() ? hasSameNames : sameLabels;
    for (let i = 0; i < entries.length; i++) {
      const { labels } = entries[i];
      if ((entries[i] !== described[i] || labels !== originals[i]) && !isSame(this.#labels[i], labels)) {
        return false;
      }
    }
    return true;
  }

  /** A hash map's key has the texts of all labels in it. To compare those would take most of a snapshot's time. */
  #hasSameKeys(): boolean {
    const known = this.#keys;
    if (!this.metric.hashMap) {
      return false;
    }
    const keys = Object.keys(this.metric.hashMap);
    for (let i = 0; i < keys.length; i++) {
      if (keys[i] !== known[i]) {
        return false;
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
    this.#originals = this.#known.map(entry => entry.labels);
    this.#isClear = !labels.some(texts => texts.some(text => text.includes(',')));
    this.#keys = Object.keys(this.metric.hashMap ?? {});
    this.#described = this.#known;
    return series;
  }

  /** Puts the numbers of what was looked at into `values`. */
  write(values: Float64Array, at: number): void {
    this.numbers(this.#known, values, at);
  }

  exemplars(at: number, exemplars: Exemplars): void {
    for (let i = 0; i < this.#known.length; i++) {
      this.exemplarsOf(this.#known[i], at + i * this.width, exemplars);
    }
  }

  protected abstract series(labels: string, series: string[]): void;
  protected abstract numbers(entries: readonly Entry[], values: Float64Array, at: number): void;
  protected exemplarsOf(_entry: Entry, _at: number, _exemplars: Exemplars): void {}

  private entries(): readonly Entry[] {
    const { hashMap, store } = this.metric;
    return hashMap ? Object.values(hashMap) : store ? Array.from(store.values()) : [];
  }
}

/**
 * What is not in a key: labels that are `undefined` in 15, and the default labels that `getMetricsAsJSON()` of 14 and 15
 * writes into the metrics' own.
 */
function hasSameNames(texts: LabelTexts, labels: Labels = {}): boolean {
  let at = 0;
  for (const name in labels) {
    if (name !== texts[at]) {
      return hasNames(texts, labels);
    }
    at += 2;
  }
  return at === texts.length;
}

/** In any order: two places of a program may name them in two. */
function hasNames(texts: LabelTexts, labels: Labels): boolean {
  const names = Object.keys(labels);
  return (
    names.length * 2 === texts.length && names.every(name => texts.some((text, i) => i % 2 === 0 && text === name))
  );
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

  protected numbers(entries: readonly Entry[], values: Float64Array, at: number): void {
    for (let i = 0; i < entries.length; i++) {
      values[at + i] = entries[i].value as number;
    }
  }

  protected override exemplarsOf(entry: Entry, at: number, exemplars: Exemplars): void {
    exemplars.add(at, entry.exemplar);
  }
}

class HistogramReader extends DirectReader {
  readonly #bounds: readonly string[];

  constructor(metric: Metric, bounds: readonly number[]) {
    super(metric, bounds.length + 3);
    // As keys, which are found faster than texts that are made of numbers.
    this.#bounds = bounds.map(bound => Object.keys({ [bound]: 0 })[0]);
  }

  protected series(labels: string, series: string[]): void {
    const rest = labels === '' ? '' : `,${labels}`;
    for (const bound of this.#bounds) {
      series.push(`["_bucket",{"le":"${bound}"${rest}}]`);
    }
    series.push(`["_bucket",{"le":"+Inf"${rest}}]`, `["_sum",{${labels}}]`, `["_count",{${labels}}]`);
  }

  protected numbers(entries: readonly Entry[], values: Float64Array, begin: number): void {
    const bounds = this.#bounds;
    let at = begin;
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i];
      const bucketValues = entry.bucketValues as Record<string, number>;
      let total = 0;
      for (let bound = 0; bound < bounds.length; bound++) {
        total += bucketValues[bounds[bound]];
        values[at++] = total;
      }
      const count = entry.count as number;
      values[at++] = count;
      values[at++] = entry.sum as number;
      values[at++] = count;
    }
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

  protected numbers(entries: readonly Entry[], values: Float64Array, begin: number): void {
    let at = begin;
    for (const entry of entries) {
      const { sum, count } = (typeof entry.value === 'object' ? entry.value : entry) as Observations;
      values[at++] = sum;
      values[at++] = count;
    }
  }
}
