import { type Answered, get, type RequestOptions, request } from './http';
import { until } from './until';

/** In every answer: the process and thread that gave it. */
interface Here {
  pid: number;
  threadId: number;
}

export interface WhoAmI extends Here {
  role: 'primary' | 'worker' | undefined;
  isPrimary: boolean;
  epoch: number;
  group: string;
  deployment: string;
}

export interface Answer extends Here {
  /** The process that ran the method. */
  executedBy: number;
  value: unknown;
}

/** How long a request that is made again may take: node:cluster gives some to a worker that has just died, who never answers. */
const PATIENCE_MS = 3_000;
/** What a member answers to a request that is for another one. */
const MISDIRECTED = 421;

/** The test application as it is reached from outside: over HTTP. Members may share a port, or have one each. */
export class Application {
  /** Where a member has answered: others may be frozen, and answer nothing. */
  private readonly portOf = new Map<number, number>();

  constructor(
    readonly ports: number[],
    /** How many members there are while all is well. */
    readonly size: number,
  ) {}

  /** One request, to whichever member takes it. */
  get<T = Answer>(path: string, timeout?: number): Promise<T> {
    return get<T>(this.ports[Math.floor(Math.random() * this.ports.length)], path, timeout);
  }

  /** The first answer that there is: while a process starts or is replaced, its port refuses. */
  firstAnswer<T = Answer>(path: string, is: (answer: T) => boolean = () => true): Promise<T> {
    return until(
      async () => {
        const answer = await this.get<T>(path, PATIENCE_MS);
        return is(answer) ? answer : undefined;
      },
      { what: `an answer to ${path}`, timeout: 30_000 },
    ) as Promise<T>;
  }

  /** The same request, on new connections until `count` different members have answered it. */
  async fromEach<T extends Here = Answer>(path: string, count = this.size): Promise<T[]> {
    const answers = new Map<string, T>();
    let failure: unknown = 'no request has failed';
    await until(
      async () => {
        // A port whose only member has died refuses; the others still answer.
        const round = await Promise.allSettled(this.ports.map(port => get<T>(port, path, PATIENCE_MS)));
        for (const [i, answered] of round.entries()) {
          if (answered.status === 'fulfilled') {
            this.portOf.set(answered.value.pid, this.ports[i]);
            answers.set(`${answered.value.pid}/${answered.value.threadId}`, answered.value);
          } else {
            failure = answered.reason;
          }
        }
        if (answers.size >= count) {
          return true;
        }
        throw new Error(`${answers.size} members have answered; ${failure}`);
      },
      { what: `${count} members to answer ${path}`, timeout: 30_000, every: 10 },
    );
    return [...answers.values()];
  }

  /** A request to the member with that pid. Whoever else takes it says so, and does nothing else. */
  async requestTo(pid: number, path: string, options: RequestOptions = {}): Promise<Answered> {
    const addressed = `${path}${path.includes('?') ? '&' : '?'}only=${pid}`;
    // Not `until`: a request that failed may have been taken, and must not be made twice.
    for (const deadline = Date.now() + 30_000; Date.now() < deadline; ) {
      for (const port of this.portOf.has(pid) ? [this.portOf.get(pid) as number] : this.ports) {
        const answer = await request(port, addressed, options).catch(unlessRefused);
        if (answer && answer.status !== MISDIRECTED) {
          return answer;
        }
      }
    }
    throw new Error(`process ${pid} has taken no request for 30 s`);
  }

  /** The same, for what answers 200 and JSON. */
  async getFrom<T = Answer>(pid: number, path: string, options?: RequestOptions): Promise<T> {
    const { status, body } = await this.requestTo(pid, path, options);
    if (status !== 200) {
      throw new Error(`GET ${path} answered ${status}: ${body.slice(0, 1000)}`);
    }
    return JSON.parse(body);
  }

  /** The primary and the others, when all agree. */
  async roles(count = this.size): Promise<{ primary: WhoAmI; workers: WhoAmI[] }> {
    const primary = await this.primary(count);
    const members = await this.fromEach<WhoAmI>('/whoami', count);
    return { primary, workers: members.filter(member => member.pid !== primary.pid) };
  }

  /** The one primary. Fails if members disagree: two primaries, none, other groups or other epochs. */
  async primary(count = this.size): Promise<WhoAmI> {
    const members = await this.fromEach<WhoAmI>('/whoami', count);
    const primaries = members.filter(member => member.role === 'primary');
    const views = new Set(members.map(({ group, epoch }) => `${group} ${epoch}`));
    if (primaries.length !== 1 || views.size !== 1) {
      throw new Error(`the members do not agree on one primary: ${JSON.stringify(members)}`);
    }
    return primaries[0];
  }
}

/** A port of a process that has ended: nothing was sent. */
function unlessRefused(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ECONNREFUSED') {
    throw error;
  }
}
