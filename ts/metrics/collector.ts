/**
 * Takes a member's snapshot from its prom-client registries. Names, labels and help make the schema, which is told when
 * it changes; apart from that a snapshot is numbers, read in the schema's order. A registry or a metric that can't be
 * understood costs itself, and is named in `problems`, once.
 */
import { type Exemplar, Exemplars } from './exemplars';
import type { Aggregator, Family } from './family';
import type { MetricSource } from './metric-source';
import { Problems } from './problems';
import type { Registry } from './registry-types';
import { Walk } from './walk';

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
  readonly #timeout: number;
  readonly #problems = new Problems();
  readonly #walk: Walk;
  #schema: string | undefined;
  /** The families of the last snapshot: of all sources, and of those that are told. */
  #families: (Family | undefined)[] = [];
  #told: readonly MetricSource[] = [];
  /** The sources of which those were chosen, and how many numbers they have. */
  #assembled: readonly MetricSource[] | undefined;
  #columns = 0;
  #underWay: Promise<Collected> | undefined;
  #forgotten = true;

  constructor(registries: () => readonly Registry[], options: CollectorOptions = {}) {
    const { aggregators = {}, quantiles = false, timeout = 500 } = options;
    this.#timeout = timeout;
    this.#walk = new Walk(registries, { aggregators, quantiles, problems: this.#problems });
  }

  /** Never fails. At once, unless something has to be waited for; while one is being taken, it is everybody's. */
  collect(): Collected | Promise<Collected> {
    if (this.#underWay) {
      return this.#underWay;
    }
    const sources = this.#walk.sources();
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

  #take(sources: readonly MetricSource[], asked: readonly MetricSource[]): Collected | Promise<Collected> {
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
    return waits ? waits.then(goOn) : (this.#readAgain(sources) ?? goOn());
  }

  /** As the last time, if these are the same sources with the same series: in one go. */
  #readAgain(sources: readonly MetricSource[]): Collected | undefined {
    if (sources !== this.#assembled) {
      return undefined;
    }
    const values = new Float64Array(this.#columns);
    let at = 0;
    for (const source of this.#told) {
      if (!source.reread(values, at)) {
        return undefined;
      }
      at += (source.family as Family).columns;
    }
    return this.#collected(values, false);
  }

  /** Runs the callbacks of metrics. The promise, if there must be one, waits for them within bounds. */
  #refresh(sources: readonly MetricSource[]): Promise<void> | undefined {
    const work: Promise<void>[] = [];
    for (const source of sources) {
      const promise = source.refresh();
      if (promise) {
        work.push(promise);
      }
    }
    return work.length > 0 ? this.#wait(work, sources) : undefined;
  }

  async #wait(work: Promise<void>[], sources: readonly MetricSource[]): Promise<void> {
    const timeout = this.#timeout;
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

  #read(sources: readonly MetricSource[]): Collected {
    const changed = this.#assemble(sources);
    this.#assembled = sources;
    this.#columns = this.#told.reduce((sum, { family }) => sum + (family?.columns ?? 0), 0);
    const values = new Float64Array(this.#columns);
    let at = 0;
    for (const source of this.#told) {
      source.write(values, at);
      at += source.family?.columns ?? 0;
    }
    return this.#collected(values, changed);
  }

  #collected(values: Float64Array, changed: boolean): Collected {
    const exemplars = new Exemplars();
    let at = 0;
    for (const source of this.#told) {
      source.exemplars(at, exemplars);
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
  #assemble(sources: readonly MetricSource[]): boolean {
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
