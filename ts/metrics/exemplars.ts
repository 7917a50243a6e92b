/** Exemplars in a snapshot's wire form, which `src/metrics/snapshot.rs` reads. */
import { isLabelName, textsOf, wellFormed } from './labels';
import type { ClientExemplar, Labels } from './registry-types';

/** Which column it belongs to, its labels, the observed value, and when (seconds since 1970). */
export type Exemplar = [column: number, labels: Record<string, string>, value: number, timestamp: number | null];

/** The Rust side takes 4 MiB of them; prom-client allows 128 characters of labels each. */
const MAX_EXEMPLARS = 4_000;
const MAX_LENGTH = 128;

export class Exemplars {
  readonly list: Exemplar[] = [];
  /** How many were not taken, because they were too many or not fit to be told. */
  dropped = 0;

  add(column: number, exemplar: ClientExemplar | null | undefined): void {
    if (exemplar === null || exemplar === undefined) {
      return;
    }
    const { labelSet, value, timestamp } = exemplar;
    const labels = this.list.length < MAX_EXEMPLARS && Number.isFinite(value) ? labelsOf(labelSet) : undefined;
    if (labels) {
      this.list.push([column, labels, value, Number.isFinite(timestamp) ? (timestamp as number) : null]);
    } else {
      this.dropped++;
    }
  }
}

function labelsOf(labelSet: Labels): Record<string, string> | undefined {
  const labels: Record<string, string> = {};
  try {
    const texts = textsOf(labelSet);
    for (let i = 0; i < texts.length; i += 2) {
      if (!isLabelName(texts[i]) || texts[i] === '__proto__' || texts[i + 1].length > MAX_LENGTH) {
        return undefined;
      }
      labels[texts[i]] = wellFormed(texts[i + 1]);
    }
    return labels;
  } catch {
    return undefined;
  }
}
