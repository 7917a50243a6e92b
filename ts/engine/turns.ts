/**
 * Shares the event loop out: what members ask of this process runs in parts that take some milliseconds, so that one
 * member's flood keeps neither the others nor this process's own work waiting. In order for each member.
 */

/** Work of one member: a part each time, `false` when there was none left. */
export interface Work {
  next(): boolean;
  /** The rest runs later. */
  keep(): void;
}

/** How long (ms) one turn of the event loop works for others, unless one part takes longer. */
const TURN = 2;
/** So many parts run before the clock is looked at, and before the next member has its turn. */
const PARTS = 8;

export class Turns<Member, W extends Work> {
  /** What did not fit into a turn; members in the order in which they have theirs. */
  readonly #waiting = new Map<Member, W[]>();

  /** Runs the work, or what fits of it into this turn. */
  run(member: Member, work: W): void {
    if (this.#waiting.size > 0) {
      work.keep();
      const before = this.#waiting.get(member);
      before ? before.push(work) : this.#waiting.set(member, [work]);
      return;
    }
    const end = performance.now() + TURN;
    while (runSome(work)) {
      if (performance.now() >= end) {
        work.keep();
        this.#waiting.set(member, [work]);
        setImmediate(this.#goOn);
        return;
      }
    }
  }

  /** How much of the member's work waits. */
  waiting(member: Member): number {
    return this.#waiting.get(member)?.length ?? 0;
  }

  /** Takes back what of the member's work has not begun, or not ended. */
  withdraw(member: Member): W[] {
    const works = this.#waiting.get(member) ?? [];
    this.#waiting.delete(member);
    return works;
  }

  /** The same for everybody's. */
  withdrawAll(): W[] {
    const works = [...this.#waiting.values()].flat();
    this.#waiting.clear();
    return works;
  }

  readonly #goOn = (): void => {
    const end = performance.now() + TURN;
    for (const [member, works] of this.#waiting) {
      // To the end of the line, behind those that have waited longer.
      this.#waiting.delete(member);
      if (!runSome(works[0])) {
        works.shift();
      }
      if (works.length > 0) {
        this.#waiting.set(member, works);
      }
      if (performance.now() >= end) {
        break;
      }
    }
    if (this.#waiting.size > 0) {
      setImmediate(this.#goOn);
    }
  };
}

/** `false` when the work is done. */
function runSome(work: Work): boolean {
  for (let i = 0; i < PARTS; i++) {
    if (!work.next()) {
      return false;
    }
  }
  return true;
}
