/** The other side of a collector: has schema and numbers, and puts together what they say. */
import { Collector, type CollectorOptions } from '../../ts/metrics/collector';
import type { Exemplar } from '../../ts/metrics/exemplars';
import type { MetricJson, Registry } from '../../ts/metrics/registry-types';
import type { ClientRegistry } from './clients';

export interface FamilyJson {
  name: string;
  help: string;
  type: string;
  aggregator: string;
  values: SampleJson[];
}

export interface SampleJson {
  name: string;
  labels: Record<string, string>;
  value: number;
}

interface WireFamily extends Omit<FamilyJson, 'values'> {
  series: [suffix: string, labels: Record<string, string>][];
}

export class Receiver {
  readonly collector: Collector;
  /** How often a schema was told. */
  schemas = 0;
  problems: string[] = [];
  exemplars: Exemplar[] = [];
  values: Float64Array = new Float64Array(0);
  #families: WireFamily[] = [];

  constructor(registries: readonly Registry[], options?: CollectorOptions) {
    this.collector = new Collector(() => registries, options);
  }

  async families(): Promise<FamilyJson[]> {
    const { schema, values, exemplars, problems } = await this.collector.collect();
    if (schema !== undefined) {
      this.schemas++;
      this.#families = JSON.parse(schema).families;
    }
    this.values = values;
    this.exemplars = exemplars;
    this.problems.push(...problems);
    let column = 0;
    const families = this.#families.map(({ series, ...family }) => ({
      ...family,
      values: series.map(([suffix, labels]) => ({ name: family.name + suffix, labels, value: values[column++] })),
    }));
    expect(column).toBe(values.length);
    return families;
  }

  async family(name: string): Promise<FamilyJson | undefined> {
    return (await this.families()).find(family => family.name === name);
  }

  /** Values by `name{label="value"}`. */
  async samples(): Promise<Record<string, number>> {
    const samples = (await this.families()).flatMap(({ values }) => values);
    return Object.fromEntries(samples.map(({ name, labels, value }) => [name + textOf(labels), value]));
  }
}

/** What `getMetricsAsJSON()` says in the same form: labels as texts, and no series twice. */
export async function expected(registry: ClientRegistry, quantiles = false): Promise<FamilyJson[]> {
  const metrics = (await registry.getMetricsAsJSON()) as unknown as MetricJson[];
  return metrics.map(({ name, help, type, aggregator, values = [] }) => {
    const seen = new Set<string>();
    const samples = values
      .map(({ metricName = name, labels = {}, value }) => ({ name: metricName, labels: texts(labels), value }))
      .filter(sample => quantiles || type !== 'summary' || sample.name !== name)
      .filter(sample => seen.size < seen.add(sample.name + JSON.stringify(Object.entries(sample.labels).sort())).size);
    return { name, help, type, aggregator: aggregator ?? 'sum', values: samples };
  });
}

function texts(labels: object): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, `${value}`]));
}

function textOf(labels: Record<string, string>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return pairs.length === 0 ? '' : `{${pairs.join()}}`;
}
