/**
 * One metric's part in the snapshots. Its life: asked through `get()` until that and a direct reading of its internals
 * have said the same, then read directly; asked through `get()` again, and from then on, where direct reading turns out
 * to be impossible. A metric whose callback fails or hangs keeps its last values, and disturbs nobody else.
 */
import { types } from 'node:util';
import { type DirectReader, directReader } from './direct';
import type { Exemplars } from './exemplars';
import { type Definition, define, type Family, familyName, familyOf } from './family';
import { type LabelTexts, Unfit } from './labels';
import { type Problems, reasonOf } from './problems';
import { type JsonColumns, readJson } from './read-json';
import type { Metric, MetricJson } from './registry-types';

/** What a metric's registry and the configuration say about it. */
export interface Context {
  readonly defaults: LabelTexts;
  readonly openMetrics: boolean;
  readonly quantiles: boolean;
  readonly aggregators: Readonly<Record<string, string>>;
  readonly problems: Problems;
}

/** A metric may change between the two readings that are compared: then it is compared again. */
const MAX_COMPARISONS = 3;
const NOTHING = new Float64Array(0);

export class MetricSource {
  /** What it tells, if it can be told. */
  family: Family | undefined;
  /** The name that it tells, as far as is known. */
  name: string;
  /** Where the last values of `family` are: from `#at` on in a snapshot, or alone. */
  #values: Float64Array = NOTHING;
  #at = 0;
  /** Those of `get()`, by column. */
  #exemplars: JsonColumns['exemplars'] = [];
  #definition: Definition | undefined;
  #direct: DirectReader | undefined;
  #comparisons = 0;
  /** A callback that has not ended yet. */
  #underWay: Promise<void> | undefined;
  /** The callback has failed or still hangs. */
  #stale = false;

  constructor(
    readonly metric: Metric,
    readonly context: Context,
    private readonly original = identityOf(metric),
  ) {
    this.name = familyName(metric.name, metric.type ?? '', context.openMetrics);
  }

  /** Whether it was made for what the metric is now. */
  fits(): boolean {
    const { metric, original } = this;
    return (
      metric.name === original.name &&
      metric.help === original.help &&
      metric.aggregator === original.aggregator &&
      metric.get === original.get
    );
  }

  /** Has the metric's callback run. The promise, if there must be one, never rejects. */
  refresh(): Promise<void> | undefined {
    const direct = this.#direct !== undefined;
    if (this.#underWay || (direct && typeof this.metric.collect !== 'function')) {
      return undefined;
    }
    try {
      const answer = direct ? this.metric.collect?.() : this.metric.get();
      // As prom-client does: a query that would run when it is awaited is not run.
      if (direct && !types.isPromise(answer)) {
        this.#settle(direct, answer);
        return undefined;
      }
      const work = Promise.resolve(answer).then(
        value => this.#settle(direct, value),
        error => this.#fail(error),
      );
      this.#underWay = work;
      return work.then(() => {
        this.#underWay = undefined;
      });
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  /** It was not waited for any longer. */
  giveUp(timeout: number): void {
    if (this.#underWay && !this.#stale) {
      this.#stale = true;
      this.#report('late', `has not answered within ${timeout} ms; its last values are used until it does`);
    }
  }

  /** Reads what it is going to write. False when the metric must be refreshed once more. */
  prepare(): boolean {
    const direct = this.#direct;
    // A gauge's callback may have set it back before it failed, or before it waits.
    if (!direct || (this.#stale && this.#definition?.type === 'gauge')) {
      return true;
    }
    try {
      if (!direct.look()) {
        this.family = familyOf(this.#definition as Definition, direct.describe(this.context.defaults));
      }
      const values = new Float64Array(direct.columns);
      direct.write(values, 0);
      this.#keep(values);
      return true;
    } catch {
      // What is wrong with it, reading it in the other way will say.
      this.#direct = this.family = undefined;
      this.#comparisons = MAX_COMPARISONS;
      return false;
    }
  }

  /** As the last time: false when it has other series by now, or can't be read directly. `values` has room at `at`. */
  reread(values: Float64Array, at: number): boolean {
    const direct = this.#direct;
    if (!direct || this.#stale) {
      return false;
    }
    try {
      if (!direct.look()) {
        return false;
      }
      direct.write(values, at);
      this.#values = values;
      this.#at = at;
      return true;
    } catch {
      return false;
    }
  }

  /** `values` has room for `family`. */
  write(values: Float64Array, at: number): void {
    const columns = this.family?.columns ?? 0;
    values.set(this.#values.subarray(this.#at, this.#at + columns), at);
  }

  exemplars(at: number, exemplars: Exemplars): void {
    if (!this.context.openMetrics) {
      return;
    }
    if (this.#direct && this.metric.enableExemplars) {
      this.#direct.exemplars(at, exemplars);
    }
    for (let i = 0; i < this.#exemplars.length; i++) {
      exemplars.add(at + i, this.#exemplars[i]);
    }
  }

  #keep(values: Float64Array): void {
    this.#values = values;
    this.#at = 0;
  }

  #settle(direct: boolean, answer: unknown): void {
    this.#stale = false;
    if (!direct) {
      try {
        this.#accept(answer as MetricJson);
      } catch (error) {
        this.family = undefined;
        this.#report(
          'unfit',
          `is left out: ${error instanceof Unfit ? '' : 'it is not understood: '}${reasonOf(error)}`,
        );
      }
    }
  }

  #fail(error: unknown): void {
    this.#stale = true;
    this.#report('failed', `has failed, its last values are used: ${reasonOf(error)}`);
  }

  #accept(json: MetricJson): void {
    const { context, metric } = this;
    if (!this.#definition) {
      this.name = familyName(json.name, json.type, context.openMetrics);
      const aggregator = wishedFor(context.aggregators, metric.name, this.name) ?? json.aggregator ?? undefined;
      this.#definition = define(json, this.name, aggregator);
    }
    const { series, values, exemplars, twice } = readJson(json, this.#definition, context.defaults, context.quantiles);
    const family = familyOf(this.#definition, series);
    this.#keep(Float64Array.from(values));
    this.#exemplars = exemplars;
    // The same object where nothing has changed: that is how the schema is compared.
    this.family = this.family?.json === family.json ? this.family : family;
    if (twice > 0) {
      this.#report('twice', 'has several series with the same labels; the first of them is taken');
    } else if (values.length > 0 && this.#comparisons < MAX_COMPARISONS) {
      this.#compare(series);
    }
  }

  /** Whether its internals, read now, say what `get()` has just said. */
  #compare(series: string[]): void {
    const { type } = this.#definition as Definition;
    this.#comparisons++;
    try {
      const direct = type === 'summary' && this.context.quantiles ? undefined : directReader(this.metric, type);
      if (!direct) {
        this.#comparisons = MAX_COMPARISONS;
        return;
      }
      direct.look();
      const values = new Float64Array(this.#values.length);
      if (direct.describe(this.context.defaults).join() === series.join() && direct.columns === values.length) {
        direct.write(values, 0);
        if (values.every((value, i) => Object.is(value, this.#values[i]))) {
          this.#direct = direct;
          this.#exemplars = [];
        }
      }
    } catch {
      // Not as it is known.
      this.#comparisons = MAX_COMPARISONS;
    }
  }

  #report(kind: string, text: string): void {
    this.context.problems.add(`${kind} ${this.name}`, `the metric ${this.name} ${text}`);
  }
}

function identityOf({ name, help, aggregator, get }: Metric) {
  return { name, help, aggregator, get };
}

function wishedFor(aggregators: Readonly<Record<string, string>>, ...names: string[]): string | undefined {
  const name = names.find(each => Object.hasOwn(aggregators, each));
  return name === undefined ? undefined : aggregators[name];
}
