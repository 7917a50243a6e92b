/** What `metric.get()` says, as columns: for every metric at first, and for those that can't be read directly. */
import { type Definition, hasSuffix } from './family';
import { type LabelTexts, labelsJson, labelsKey, Unfit, withDefaults } from './labels';
import type { ClientExemplar, MetricJson } from './registry-types';

export interface JsonColumns {
  /** The JSON of each series. */
  readonly series: string[];
  readonly values: number[];
  readonly exemplars: (ClientExemplar | null | undefined)[];
  /** Series that came again. The first is taken. */
  readonly twice: number;
}

/** Throws `Unfit`. */
export function readJson(
  json: MetricJson,
  { type }: Definition,
  defaults: LabelTexts,
  quantiles: boolean,
): JsonColumns {
  const columns = { series: [] as string[], values: [] as number[], exemplars: [] as JsonColumns['exemplars'] };
  const keys = new Set<string>();
  let twice = 0;
  for (const { labels = {}, value, metricName = json.name, exemplar } of json.values ?? []) {
    const suffix = metricName.startsWith(json.name) ? metricName.slice(json.name.length) : metricName;
    if (!hasSuffix(type, suffix)) {
      throw new Unfit(`it has a series named ${JSON.stringify(metricName.slice(0, 100))}`);
    }
    if (type === 'summary' && suffix === '' && !quantiles) {
      continue;
    }
    const texts = withDefaults(labels, defaults);
    checkBound(type, suffix, texts as string[]);
    if (keys.size === keys.add(suffix + labelsKey(texts)).size) {
      twice++;
      continue;
    }
    columns.series.push(`["${suffix}",{${labelsJson(texts)}}]`);
    columns.values.push(Number(value));
    columns.exemplars.push(exemplar);
  }
  return { ...columns, twice };
}

/** Buckets and quantiles are told apart by a number. */
function checkBound(type: string, suffix: string, texts: string[]): void {
  const inner = type === 'histogram' && suffix === '_bucket' ? 'le' : type === 'summary' && suffix === '' && 'quantile';
  if (inner) {
    const at = texts.findIndex((name, index) => index % 2 === 0 && name === inner) + 1;
    if (at === 0) {
      throw new Unfit(`a series has no label ${inner}`);
    }
    texts[at] = texts[at].replace(/^\+?Infinity$/, '+Inf').replace('-Infinity', '-Inf');
    if (!/^[+-]Inf$/.test(texts[at]) && !(texts[at].trim() !== '' && Number.isFinite(Number(texts[at])))) {
      throw new Unfit(`its label ${inner} is ${JSON.stringify(texts[at].slice(0, 100))}, which is no number`);
    }
  }
}
