/** Labels as others get them: texts that Prometheus takes, in the order in which they came. */
import type { Labels } from './registry-types';

/** Bytes of a label's value or a help text, and how many labels a series has: the Rust side refuses more. */
const MAX_TEXT = 64 * 1024;
const MAX_LABELS = 128;
const MAX_NAME = 1024;

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const LONE_SURROGATE = /\p{Surrogate}/gu;

/** Why a metric can't be told to others. One of them would spoil the whole schema, so it is left out. */
export class Unfit extends Error {}

/** Name, text, name, text… */
export type LabelTexts = readonly string[];

/** Values become texts as in a template, which is what prom-client does. */
export function textsOf(labels: Labels = {}): LabelTexts {
  const texts: string[] = [];
  for (const name of Object.keys(labels)) {
    texts.push(name, `${labels[name]}`);
  }
  return texts;
}

/** Whether `labels` are those, in any order: two places of a program may name them in two. */
export function sameLabels(texts: LabelTexts, labels: Labels = {}): boolean {
  for (let i = 0; i < texts.length; i += 2) {
    const value = labels[texts[i]];
    if (value !== texts[i + 1] && `${value}` !== texts[i + 1]) {
      return false;
    }
  }
  return Object.keys(labels).length * 2 === texts.length;
}

/**
 * A registry's default labels fill in what a series lacks. An empty text is there: prom-client's text format and all of
 * its successor say so, though `getMetricsAsJSON()` of 14 and 15 replaces it.
 */
export function withDefaults(labels: Labels, defaults: LabelTexts): LabelTexts {
  const texts = textsOf(labels) as string[];
  for (let i = 0; i < defaults.length; i += 2) {
    const at = texts.findIndex((name, index) => index % 2 === 0 && name === defaults[i]);
    if (at < 0) {
      texts.push(defaults[i], defaults[i + 1]);
    } else if (labels[defaults[i]] === undefined || labels[defaults[i]] === null) {
      texts[at + 1] = defaults[i + 1];
    }
  }
  return texts;
}

/** The inside of a JSON object. Throws `Unfit`. */
export function labelsJson(texts: LabelTexts): string {
  if (texts.length > MAX_LABELS * 2) {
    throw new Unfit(`a series has more than ${MAX_LABELS} labels`);
  }
  let json = '';
  for (let i = 0; i < texts.length; i += 2) {
    if (!isLabelName(texts[i])) {
      throw new Unfit(`${JSON.stringify(texts[i].slice(0, 100))} is no label name`);
    }
    json += `${i === 0 ? '' : ','}"${texts[i]}":${textJson(`the value of label ${texts[i]}`, texts[i + 1])}`;
  }
  return json;
}

/** The same for the same labels in any order. */
export function labelsKey(texts: LabelTexts): string {
  const pairs: string[] = [];
  for (let i = 0; i < texts.length; i += 2) {
    pairs.push(JSON.stringify([texts[i], texts[i + 1]]));
  }
  return pairs.sort().join();
}

export function isLabelName(name: string): boolean {
  return name.length <= MAX_NAME && LABEL_NAME.test(name);
}

export function isMetricName(name: string): boolean {
  return name.length <= MAX_NAME && METRIC_NAME.test(name);
}

/** Half a character becomes an escape in JSON that others refuse. */
export function wellFormed(text: string): string {
  return text.replace(LONE_SURROGATE, '\ufffd');
}

/** Throws `Unfit`. */
export function textJson(what: string, text: string): string {
  if (text.length > MAX_TEXT / 3 && Buffer.byteLength(text) > MAX_TEXT) {
    throw new Unfit(`${what} is longer than ${MAX_TEXT} bytes`);
  }
  return JSON.stringify(wellFormed(text));
}
