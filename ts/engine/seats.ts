interface Waiting {
  readonly promise: Promise<boolean>;
  readonly resolve: (isThere: boolean) => void;
}

/** ms in which a client that has come can ask. */
const GRACE = 100;
/** So many times the limit are there for that time. */
const MORE = 4;

/**
 * The places of clients, as `src/admin/seats.rs` has them for a group. When more than the limit are there, those give way
 * that have asked nothing for the longest, and no less than `GRACE`. As many requests as the limit are answered at one
 * time; further ones wait.
 */
export class Seats<Client extends object> {
  /** Those that ask nothing, the longest first, and since when. */
  readonly #idle = new Map<Client, number>();
  readonly #answered = new Set<Client>();
  /** Those that have asked, and wait. */
  readonly #waiting = new Map<Client, Waiting>();
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly limit: number,
    private readonly dismiss: (client: Client) => void,
  ) {}

  come(client: Client): void {
    this.#rest(client);
    if (this.#size > this.limit * MORE) {
      this.#dismissLongest();
    }
  }

  /** Resolves when it is to be answered: `true`; or `false` when it has gone before. */
  ask(client: Client): Promise<boolean> {
    if (!this.#idle.delete(client)) {
      // It asks again before it has its answer; or it has gone.
      return this.#waiting.get(client)?.promise ?? Promise.resolve(this.#answered.has(client));
    }
    if (this.#answered.size < this.limit) {
      this.#answered.add(client);
      return Promise.resolve(true);
    }
    const waiting = newWaiting();
    this.#waiting.set(client, waiting);
    return waiting.promise;
  }

  /** It has its answer. */
  rest(client: Client): void {
    if (this.#answered.delete(client)) {
      this.#rest(client);
      this.#goOn();
    }
  }

  leave(client: Client): void {
    this.#idle.delete(client);
    this.#waiting.get(client)?.resolve(false);
    this.#waiting.delete(client);
    if (this.#answered.delete(client)) {
      this.#goOn();
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  get #size(): number {
    return this.#idle.size + this.#answered.size + this.#waiting.size;
  }

  #rest(client: Client): void {
    this.#idle.set(client, performance.now());
    this.#look();
  }

  /** Who has waited for the longest is answered now. */
  #goOn(): void {
    const [next] = this.#waiting;
    if (next) {
      const [client, { resolve }] = next;
      this.#waiting.delete(client);
      this.#answered.add(client);
      resolve(true);
    }
  }

  /** Those that give way are dismissed; when the next one does, it looks again. */
  #look(): void {
    while (!this.#timer && this.#idle.size > 0 && this.#size > this.limit) {
      const [since] = this.#idle.values();
      const left = since + GRACE - performance.now();
      if (left > 0) {
        this.#timer = setTimeout(() => {
          this.#timer = undefined;
          this.#look();
        }, left).unref();
      } else {
        this.#dismissLongest();
      }
    }
  }

  #dismissLongest(): void {
    const [client] = this.#idle.keys();
    this.#idle.delete(client);
    this.dismiss(client);
  }
}

function newWaiting(): Waiting {
  let resolve: Waiting['resolve'] = () => {};
  const promise = new Promise<boolean>(settle => {
    resolve = settle;
  });
  return { promise, resolve };
}
