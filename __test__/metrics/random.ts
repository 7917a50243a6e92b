/** Registries that are used at random, but the same for the same seed. */
import type { Client, ClientRegistry } from './clients';

type AnyMetric = {
  name: string;
  labelNames: string[];
  inc?(labels: object, value: number): void;
  set?(labels: object, value: number): void;
  observe?(labels: object, value: number): void;
  zero?(labels: object): void;
  remove(labels: object): void;
  reset(): void;
};

/** mulberry32 */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const NUMBERS = [0, -0, 1, 0.1 + 0.2, 5e-324, 2 ** 53, -1e21, Number.NaN, Infinity, -Infinity];
/** No empty text for `method`, which is a default label at times: see `withDefaults`. */
const LABELS: Record<string, unknown[]> = {
  method: ['GET', 'POST', 1, '1', undefined, 'a:1,route:b'],
  route: ['/', '', '/a"b\\c\nd', 'é👍', 0, true, null, 'GET,'],
  code: [200, 404, '200', 5.5],
};
const AGGREGATORS = ['sum', 'first', 'min', 'max', 'average', 'omit', undefined] as const;

export class RandomApplication {
  constructor(
    private readonly client: Client,
    readonly registry: ClientRegistry,
    private readonly random: () => number,
    /** Values that a label never has. */
    private readonly never: readonly unknown[] = [],
  ) {}

  /** Uses the registry once, in any way that an application may. */
  step(): void {
    const metrics = this.registry.getMetricsAsArray() as unknown as AnyMetric[];
    const what = this.random();
    if (metrics.length === 0 || what < 0.1) {
      this.define(`metric_${Math.floor(this.random() * 8)}`);
    } else if (what < 0.88) {
      this.#use(this.#one(metrics));
    } else if (what < 0.93) {
      const metric = this.#one(metrics);
      metric.remove(this.#labels(metric));
    } else if (what < 0.95) {
      this.#one(metrics).reset();
    } else if (what < 0.97) {
      this.registry.removeSingleMetric(this.#one(metrics).name);
    } else if (what < 0.99) {
      const labels = [{}, { app: 'shop' }, { app: 7, method: 'none' }];
      this.registry.setDefaultLabels(this.#one(labels));
    } else if (this.random() < 0.5) {
      this.registry.resetMetrics();
    } else {
      this.registry.clear();
    }
  }

  /** Counts, sets or observes something, if there is a metric. */
  use(): void {
    const metrics = this.registry.getMetricsAsArray() as unknown as AnyMetric[];
    if (metrics.length > 0) {
      this.#use(this.#one(metrics));
    }
  }

  /** Registered again if the name is taken. */
  define(name: string): void {
    this.registry.removeSingleMetric(name);
    const { Counter, Gauge, Histogram, Summary } = this.client;
    const labelNames = Object.keys(LABELS).filter(() => this.random() < 0.5);
    const aggregator = this.#one(AGGREGATORS);
    const common = { name, help: `Help of\n${name}`, labelNames, aggregator, registers: [this.registry] };
    const buckets = this.#one([[0.5, 1, 10], [], [-1.5, 0, 1e-7, 1e21], undefined]);
    const percentiles = this.#one([[0.5], [0.1, 0.99, 0.999]]);
    this.#one([
      () => new Counter(common),
      () => new Gauge(common),
      () => new Histogram(buckets ? { ...common, buckets } : common),
      () => new Summary({ ...common, percentiles }),
    ])();
  }

  #use(metric: AnyMetric): void {
    const labels = this.#labels(metric);
    const value = this.#one(NUMBERS);
    if (metric.set) {
      this.#one([() => metric.set?.(labels, value), () => metric.inc?.(labels, value)])();
    } else if (metric.inc) {
      metric.inc(labels, Math.abs(Number.isFinite(value) ? value : 3));
    } else if (metric.zero && this.random() < 0.1) {
      metric.zero(labels);
    } else {
      metric.observe?.(labels, Number.isFinite(value) ? value : 3);
    }
  }

  /** Any of the metric's labels, in any order. */
  #labels({ labelNames }: AnyMetric): object {
    const names = this.#shuffled([...labelNames].filter(() => this.random() < 0.9));
    return Object.fromEntries(
      names.map(name => [name, this.#one(LABELS[name].filter(each => !this.never.includes(each)))]),
    );
  }

  /** Not by `sort()`: how often that compares, and so what follows, differs from one version of Node.js to the next. */
  #shuffled<T>(list: T[]): T[] {
    for (let i = list.length - 1; i > 0; i--) {
      const other = Math.floor(this.random() * (i + 1));
      [list[i], list[other]] = [list[other], list[i]];
    }
    return list;
  }

  #one<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)];
  }
}
