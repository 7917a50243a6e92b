/** Finds the metrics of all registries, and what is known of each: as long as they are the same, nothing is looked up. */
import { isLabelName, type LabelTexts, sameLabels, textsOf } from './labels';
import { type Context, MetricSource } from './metric-source';
import { reasonOf } from './problems';
import { isMetric, isRegistry, type Metric, type Registry, speaksOpenMetrics } from './registry-types';

type Settings = Pick<Context, 'aggregators' | 'quantiles' | 'problems'>;

/** A registry, as it was found. */
interface Found {
  readonly context: Context;
  readonly metrics: readonly object[];
}

export class Walk {
  readonly #contexts = new WeakMap<Registry, Context & { all: LabelTexts }>();
  readonly #sources = new WeakMap<Metric, MetricSource>();
  #last: { found: Found[]; sources: readonly MetricSource[] } | undefined;

  constructor(
    private readonly registries: () => readonly Registry[],
    private readonly settings: Settings,
  ) {}

  /** Each metric once; the same array as the last time when they are the same. */
  sources(): readonly MetricSource[] {
    const found: Found[] = [];
    for (const registry of this.#list()) {
      try {
        found.push({ context: this.#contextOf(registry), metrics: registry.getMetricsAsArray() });
      } catch (error) {
        this.settings.problems.add('registry', `a registry is left out: ${reasonOf(error)}`);
      }
    }
    const last = this.#last;
    if (last && isSame(found, last.found) && last.sources.every(source => source.fits())) {
      return last.sources;
    }
    const sources = new Set<MetricSource>();
    for (const { context, metrics } of found) {
      for (const metric of metrics) {
        this.#sourceOf(metric as Metric, context, sources);
      }
    }
    // The registry may go on with its array.
    const kept = found.map(({ context, metrics }) => ({ context, metrics: [...metrics] }));
    this.#last = { found: kept, sources: [...sources] };
    return this.#last.sources;
  }

  #list(): Registry[] {
    try {
      return this.registries().filter(registry => {
        if (!isRegistry(registry)) {
          this.settings.problems.add(
            'no registry',
            'what was given as a registry is none of prom-client: it is left out',
          );
          return false;
        }
        return true;
      });
    } catch (error) {
      this.settings.problems.add('registries', `there is no list of registries: ${reasonOf(error)}`);
      return [];
    }
  }

  #sourceOf(metric: Metric, context: Context, sources: Set<MetricSource>): void {
    try {
      let source = this.#sources.get(metric);
      if (source && sources.has(source)) {
        return;
      }
      if (source?.context !== context || !source.fits()) {
        if (!isMetric(metric)) {
          throw new TypeError('it has no name or no get()');
        }
        source = new MetricSource(metric, context);
        this.#sources.set(metric, source);
      }
      sources.add(source);
    } catch (error) {
      this.settings.problems.add(
        `metric ${metric?.name}`,
        `the metric ${metric?.name} is left out: ${reasonOf(error)}`,
      );
    }
  }

  #contextOf(registry: Registry): Context {
    const labels = (registry._defaultLabels ?? {}) as Record<string, unknown>;
    const openMetrics = speaksOpenMetrics(registry);
    let context = this.#contexts.get(registry);
    if (context?.openMetrics !== openMetrics || !sameLabels(context.all, labels)) {
      const all = textsOf(labels);
      const defaults = all.filter((_, i) => this.#isFit(all[i - (i % 2)]));
      context = { all, defaults, openMetrics, ...this.settings };
      this.#contexts.set(registry, context);
    }
    return context;
  }

  #isFit(label: string): boolean {
    if (!isLabelName(label)) {
      this.settings.problems.add(`label ${label}`, `the default label ${label} is left out: it is no label name`);
      return false;
    }
    return true;
  }
}

function isSame(found: readonly Found[], last: readonly Found[]): boolean {
  return (
    found.length === last.length &&
    found.every(({ context, metrics }, i) => context === last[i].context && isSameList(metrics, last[i].metrics))
  );
}

function isSameList(list: readonly object[], last: readonly object[]): boolean {
  if (list.length !== last.length) {
    return false;
  }
  for (let i = 0; i < list.length; i++) {
    if (list[i] !== last[i]) {
      return false;
    }
  }
  return true;
}
