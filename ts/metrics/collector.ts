/**
 * Takes a member's snapshot from its prom-client registries. Names, labels and help make the schema, which is told when
 * it changes; apart from that a snapshot is numbers, read in the schema's order. A registry or a metric that can't be
 * understood costs itself, and is named in `problems`, once.
 */
import { type Exemplar, Exemplars } from './exemplars';
import type { Aggregator, Family } from './family';
import { isLabelName, type LabelTexts, sameLabels, textsOf } from './labels';
import { type Context, MetricSource } from './metric-source';
import { Problems, reasonOf } from './problems';
import { isMetric, isRegistry, type Metric, type Registry, speaksOpenMetrics } from './registry-types';

export interface CollectorOptions {
  /** How the values of several members become one, by the metric's name: goes before the metric's own `aggregator`. */
  aggregators?: Readonly<Record<string, Aggregator>>;
  /** Also collect the quantiles of summaries, which must be computed each time. */
  quantiles?: boolean;
  /** How long the `collect()` of metrics may take all together (ms); default 500. */
  timeout?: number;
}

export interface Collected {
  /** `{"families":[…]}`, if it is another one than that of the last snapshot, or was asked for. */
  readonly schema: string | undefined;
  /** One for each series of the schema. */
  readonly values: Float64Array;
  readonly exemplars: Exemplar[];
  /** Sentences, each told once in a collector's life. */
  readonly problems: string[];
}

/** More are refused by the Rust side. */
const MAX_SERIES = 100_000;
const MAX_FAMILIES = 10_000;

export class Collector {
  readonly #registries: () => readonly Registry[];
  readonly #options: Required<CollectorOptions>;
  readonly #problems = new Problems();
  readonly #contexts = new WeakMap<Registry, Context & { all: LabelTexts }>();
  readonly #sources = new WeakMap<Metric, MetricSource>();
  #schema: string | undefined;
  /** The families of the last snapshot: of all sources, and of those that are told. */
  #families: (Family | undefined)[] = [];
  #told: readonly MetricSource[] = [];
  #underWay: Promise<Collected> | undefined;
  #forgotten = true;

  constructor(registries: () => readonly Registry[], options: CollectorOptions = {}) {
    this.#registries = registries;
    this.#options = { aggregators: {}, quantiles: false, timeout: 500, ...options };
  }

  /** Never fails. At once, unless something has to be waited for; while one is being taken, it is everybody's. */
  collect(): Collected | Promise<Collected> {
    if (this.#underWay) {
      return this.#underWay;
    }
    const sources = this.#walk();
    const taken = this.#take(sources, sources);
    if (taken instanceof Promise) {
      this.#underWay = taken.finally(() => {
        this.#underWay = undefined;
      });
      return this.#underWay;
    }
    return taken;
  }

  /** The next snapshot has its schema with it. */
  forget(): void {
    this.#forgotten = true;
  }

  #take(sources: MetricSource[], asked: MetricSource[]): Collected | Promise<Collected> {
    if (asked.length === 0) {
      // Nothing has been awaited since they were looked at: the numbers are of one moment.
      return this.#read(sources);
    }
    const waits = this.#refresh(asked);
    const goOn = () =>
      this.#take(
        sources,
        asked.filter(source => !source.prepare()),
      );
    return waits ? waits.then(goOn) : goOn();
  }

  /** The metrics of all registries, each once. */
  #walk(): MetricSource[] {
    const sources = new Set<MetricSource>();
    for (const registry of this.#list()) {
      try {
        const context = this.#contextOf(registry);
        for (const metric of registry.getMetricsAsArray()) {
          this.#sourceOf(metric as Metric, context, sources);
        }
      } catch (error) {
        this.#problems.add('registry', `a registry is left out: ${reasonOf(error)}`);
      }
    }
    return [...sources];
  }

  #list(): Registry[] {
    try {
      return this.#registries().filter(registry => {
        if (!isRegistry(registry)) {
          this.#problems.add('no registry', 'what was given as a registry is none of prom-client: it is left out');
          return false;
        }
        return true;
      });
    } catch (error) {
      this.#problems.add('registries', `there is no list of registries: ${reasonOf(error)}`);
      return [];
    }
  }

  #sourceOf(metric: Metric, context: Context, sources: Set<MetricSource>): void {
    try {
      let source = this.#sources.get(metric);
      if (source && sources.has(source)) {
        return;
      }
      if (!source?.fits(context)) {
        if (!isMetric(metric)) {
          throw new TypeError('it has no name or no get()');
        }
        source = new MetricSource(metric, context);
        this.#sources.set(metric, source);
      }
      sources.add(source);
    } catch (error) {
      this.#problems.add(`metric ${metric?.name}`, `the metric ${metric?.name} is left out: ${reasonOf(error)}`);
    }
  }

  #contextOf(registry: Registry): Context {
    const labels = (registry._defaultLabels ?? {}) as Record<string, unknown>;
    const openMetrics = speaksOpenMetrics(registry);
    let context = this.#contexts.get(registry);
    if (context?.openMetrics !== openMetrics || !sameLabels(context.all, labels)) {
      const all = textsOf(labels);
      const defaults = all.filter((_, i) => this.#isFit(all[i - (i % 2)]));
      context = { all, defaults, openMetrics, problems: this.#problems, ...this.#options };
      this.#contexts.set(registry, context);
    }
    return context;
  }

  #isFit(label: string): boolean {
    if (!isLabelName(label)) {
      this.#problems.add(`label ${label}`, `the default label ${label} is left out: it is no label name`);
      return false;
    }
    return true;
  }

  /** Runs the callbacks of metrics. The promise, if there must be one, waits for them within bounds. */
  #refresh(sources: MetricSource[]): Promise<void> | undefined {
    const work: Promise<void>[] = [];
    for (const source of sources) {
      const promise = source.refresh();
      if (promise) {
        work.push(promise);
      }
    }
    return work.length > 0 ? this.#wait(work, sources) : undefined;
  }

  async #wait(work: Promise<void>[], sources: MetricSource[]): Promise<void> {
    const { timeout } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>(resolve => {
      timer = setTimeout(resolve, timeout).unref();
    });
    await Promise.race([Promise.all(work), late]);
    clearTimeout(timer);
    for (const source of sources) {
      source.giveUp(timeout);
    }
  }

  #read(sources: MetricSource[]): Collected {
    const changed = this.#assemble(sources);
    const columns = this.#told.reduce((sum, { family }) => sum + (family?.columns ?? 0), 0);
    const values = new Float64Array(columns);
    const exemplars = new Exemplars();
    let at = 0;
    for (const source of this.#told) {
      source.write(values, at, exemplars);
      at += source.family?.columns ?? 0;
    }
    if (exemplars.dropped > 0) {
      this.#problems.add('exemplars', 'exemplars are left out: they are too many, or no others can read them');
    }
    const schema = changed || this.#forgotten ? this.#schema : undefined;
    this.#forgotten = false;
    return { schema, values, exemplars: exemplars.list, problems: this.#problems.take() };
  }

  /** Decides which families are told. True when that makes another schema. */
  #assemble(sources: MetricSource[]): boolean {
    const families = this.#families;
    if (families.length === sources.length && sources.every((source, i) => source.family === families[i])) {
      return false;
    }
    const names = new Set<string>();
    let columns = 0;
    this.#families = sources.map(source => source.family);
    this.#told = sources.filter(({ family, name }) => {
      if (!family) {
        return false;
      }
      if (names.has(name)) {
        this.#problems.add(`name ${name}`, `the metric ${name} is left out of a registry: another has that name, too`);
        return false;
      }
      if (names.size === MAX_FAMILIES || columns + family.columns > MAX_SERIES) {
        const limit = `at most ${MAX_FAMILIES} metrics with ${MAX_SERIES} series are collected`;
        this.#problems.add('too many', `the metric ${name} and maybe others are left out: ${limit}`);
        return false;
      }
      names.add(name);
      columns += family.columns;
      return true;
    });
    const schema = `{"families":[${this.#told.map(({ family }) => (family as Family).json).join()}]}`;
    const changed = schema !== this.#schema;
    this.#schema = schema;
    return changed;
  }
}
