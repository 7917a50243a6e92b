import { setTimeout as sleep } from 'node:timers/promises';
import { get } from './http';

/** What became of requests that each make one entry in the application's ledger. */
export interface Told {
  /** Entries whose request was answered. */
  made: string[];
  /** Requests that the operating system refused: nobody has seen them. */
  refused: number;
  /** What else went wrong, in words, with the entry that it was about. */
  failures: { id: string; error: string }[];
}

let loads = 0;

/**
 * Makes entries without a pause, `atOnce` at a time, until it is stopped. `ports` says where, at each request; entries
 * take up to `ms`.
 */
export class LedgerLoad {
  private readonly told: Told = { made: [], refused: 0, failures: [] };
  private readonly loops: Promise<void>[];
  private readonly name = `load-${++loads}`;
  private requests = 0;
  private stopped = false;
  /** Requests under way, by port. */
  private readonly underWay = new Map<number, number>();

  constructor(
    private readonly ports: () => number[],
    atOnce: number,
    private readonly ms: number,
  ) {
    this.loops = Array.from({ length: atOnce }, () => this.keepAsking());
  }

  get made(): number {
    return this.told.made.length;
  }

  underWayAt(port: number): number {
    return this.underWay.get(port) ?? 0;
  }

  /** Stops, and waits for what is under way. */
  async stop(): Promise<Told> {
    this.stopped = true;
    await Promise.all(this.loops);
    return this.told;
  }

  private async keepAsking(): Promise<void> {
    while (!this.stopped) {
      const ports = this.ports();
      const id = `${this.name}-${++this.requests}`;
      const port = ports[this.requests % ports.length];
      this.underWay.set(port, this.underWayAt(port) + 1);
      try {
        await get(port, `/ledger/add?id=${id}&ms=${Math.floor(Math.random() * this.ms)}`);
        this.told.made.push(id);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') {
          this.told.refused++;
          await sleep(5);
        } else {
          this.told.failures.push({ id, error: String(error) });
        }
      } finally {
        this.underWay.set(port, this.underWayAt(port) - 1);
      }
    }
  }
}
