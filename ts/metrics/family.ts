/**
 * A family in the schema's wire form, which `src/metrics/schema_json.rs` reads:
 * `{"name","help","type","aggregator","series":[[suffix, labels], …]}`. What that side would refuse is left out here:
 * one bad family would cost the member all of its metrics.
 */
import { isMetricName, textJson, Unfit } from './labels';
import type { MetricJson } from './registry-types';

/** How the values of several members become one: prom-client's, and those of Python's multiprocess mode. */
export const AGGREGATORS = ['sum', 'first', 'min', 'max', 'average', 'omit', 'livesum', 'mostrecent', 'all'] as const;
export type Aggregator = (typeof AGGREGATORS)[number];

/** Which suffixes a kind's series have. */
const SUFFIXES: Record<string, readonly string[]> = {
  counter: ['', '_created'],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count', '_created'],
  summary: ['', '_sum', '_count', '_created'],
  untyped: [''],
  unknown: [''],
};

/** What a metric is, apart from its series. */
export interface Definition {
  readonly name: string;
  readonly type: string;
  /** The beginning of the family's JSON; `]}` after the series ends it. */
  readonly head: string;
}

/** A family whose series are known. */
export interface Family {
  readonly json: string;
  readonly columns: number;
}

/** Throws `Unfit`. */
export function define(metric: MetricJson, name: string, aggregator: string = 'sum'): Definition {
  const { help, type } = metric;
  if (!isMetricName(name)) {
    throw new Unfit('its name is no metric name');
  }
  if (typeof type !== 'string' || !Object.hasOwn(SUFFIXES, type)) {
    throw new Unfit(`its type ${String(type).slice(0, 100)} is not known`);
  }
  if (!(AGGREGATORS as readonly string[]).includes(aggregator)) {
    throw new Unfit(`its aggregator ${String(aggregator).slice(0, 100)} is none of ${AGGREGATORS.join(', ')}`);
  }
  const helpJson = textJson('its help', `${help ?? ''}`);
  const head = `{"name":"${name}","help":${helpJson},"type":"${type}","aggregator":"${aggregator}","series":[`;
  return { name, type, head };
}

/** `series` are JSON already. */
export function familyOf({ head }: Definition, series: readonly string[]): Family {
  return { json: `${head}${series.join()}]}`, columns: series.length };
}

export function hasSuffix(type: string, suffix: string): boolean {
  return SUFFIXES[type].includes(suffix);
}

/**
 * The name under which all members tell of a metric. An OpenMetrics registry drops a counter's `_total` when it is
 * first asked for its text, and writes it behind every counter: the name must not depend on whether it was asked.
 */
export function familyName(name: string, type: string, openMetrics: boolean): string {
  return openMetrics && type === 'counter' && !name.endsWith('_total') ? `${name}_total` : name;
}
