/** What is running for callers who may want to say something about it, by lanes and the numbers of their calls. */
import type { IncomingLane } from './incoming';
import type { Running } from './running';
import type { StreamWriter } from './stream-writer';

export interface Tracked {
  running?: Running;
  stream?: StreamWriter;
}

export class TrackedCalls {
  readonly #lanes = new Map<IncomingLane, ByNumber>();

  set(lane: IncomingLane, id: number, tracked: Tracked): void {
    let ofLane = this.#lanes.get(lane);
    if (!ofLane) {
      ofLane = new ByNumber();
      this.#lanes.set(lane, ofLane);
    }
    ofLane.set(id, tracked);
  }

  get(lane: IncomingLane, id: number): Tracked | undefined {
    return this.#lanes.get(lane)?.get(id);
  }

  delete(lane: IncomingLane, id: number): void {
    if (this.#lanes.size > 0) {
      this.#lanes.get(lane)?.delete(id);
    }
  }

  /** Nothing is kept of the lane any more. Returns what was. */
  forget(lane: IncomingLane): Tracked[] {
    const all = this.#lanes.get(lane)?.all() ?? [];
    this.#lanes.delete(lane);
    return all;
  }
}

/** Numbers from here on are not those of a table of calls, which are used again and again. */
const MANY = 100_000;

/**
 * An array. A Map that entries come to and go from gets a new table now and then, to which the old one keeps a link: as
 * soon as one is old, all that come after it become old as well, with what they had.
 */
class ByNumber {
  readonly #few: (Tracked | undefined)[] = [];
  readonly #others = new Map<number, Tracked>();

  get(id: number): Tracked | undefined {
    return id >= 0 && id < MANY ? this.#few[id] : this.#others.get(id);
  }

  set(id: number, tracked: Tracked): void {
    if (id >= 0 && id < MANY) {
      this.#few[id] = tracked;
    } else {
      this.#others.set(id, tracked);
    }
  }

  delete(id: number): void {
    if (!(id >= 0 && id < MANY)) {
      this.#others.delete(id);
    } else if (id < this.#few.length) {
      this.#few[id] = undefined;
    }
  }

  all(): Tracked[] {
    return [...this.#few, ...this.#others.values()].filter(each => each !== undefined);
  }
}
