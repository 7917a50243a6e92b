/** Reads the text format, for tests, without anything of this package. */
import type { FamilyJson } from './receiver';

export type Exposed = Pick<FamilyJson, 'name' | 'help' | 'type' | 'values'>;

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)/gy;
const NUMBERS: Record<string, number> = {
  '+Inf': Number.POSITIVE_INFINITY,
  '-Inf': Number.NEGATIVE_INFINITY,
  NaN: Number.NaN,
};

export function readExposition(text: string): Map<string, Exposed> {
  const families = new Map<string, Exposed & { values: FamilyJson['values'] }>();
  let current: (Exposed & { values: FamilyJson['values'] }) | undefined;
  for (const line of text.split('\n')) {
    const [, word, name, rest] = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line) ?? [];
    if (word === 'HELP') {
      if (families.has(name)) {
        throw new Error(`${name} comes twice`);
      }
      current = { name, help: plain(rest), type: 'untyped', values: [] };
      families.set(name, current);
    } else if (word === 'TYPE') {
      (current as Exposed).type = rest;
    } else if (line !== '') {
      current?.values.push(sample(line));
    }
  }
  return families;
}

function sample(line: string): FamilyJson['values'][number] {
  const [, name, inner = '', number] = SAMPLE.exec(line) ?? [];
  if (name === undefined) {
    throw new Error(`not understood: ${line}`);
  }
  const labels: Record<string, string> = {};
  let end = 0;
  LABEL.lastIndex = 0;
  for (let found = LABEL.exec(inner); found; found = LABEL.exec(inner)) {
    labels[found[1]] = plain(found[2]);
    end = LABEL.lastIndex;
  }
  if (end !== inner.length) {
    throw new Error(`labels not understood: ${line}`);
  }
  return { name, labels, value: NUMBERS[number] ?? Number(number) };
}

function plain(text: string): string {
  return text.replace(/\\(.)/g, (_, char) => (char === 'n' ? '\n' : char));
}
