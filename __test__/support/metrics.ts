import type { Application } from './application';
import { until } from './until';

export interface Scraped {
  pid: number;
  contentType: string | null;
  text: string;
  /** From the request to the end of the answer. */
  ms: number;
}

/**
 * Longer than any answer takes. A cluster hands a connection to a worker that has just been killed now and then, and
 * nobody answers that one.
 */
export const PATIENCE = 3_000;

/** `/metrics` of whichever member takes the connection. */
export async function scrape({ ports }: Application): Promise<Scraped> {
  const began = performance.now();
  const answer = await fetch(`http://127.0.0.1:${ports[Math.floor(Math.random() * ports.length)]}/metrics`, {
    headers: { connection: 'close' },
    signal: AbortSignal.timeout(PATIENCE),
  });
  const text = await answer.text();
  if (answer.status !== 200) {
    throw new Error(`${answer.status}: ${text}`);
  }
  const ms = performance.now() - began;
  return { pid: Number(answer.headers.get('x-pid')), contentType: answer.headers.get('content-type'), text, ms };
}

/** One answer of each of `count` members, each checked. */
export async function scrapeEach(
  application: Application,
  check: (answer: Scraped) => void = () => {},
  count = application.size,
): Promise<Scraped[]> {
  const answers = new Map<number, Scraped>();
  await until(
    async () => {
      const answer = await scrape(application);
      check(answer);
      answers.set(answer.pid, answer);
      return answers.size === count;
    },
    { what: `/metrics of ${count} members`, every: 5 },
  );
  return [...answers.values()];
}

/** The value of a series, given as it is written. `undefined` if it is not there. */
export function sample({ text }: { text: string }, series: string): number | undefined {
  const line = text.split('\n').find(each => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1).split(' ')[0]);
}

/** Scrapes so many times, with a deed before the n-th; a counter may never fall. Gives its last value. */
export async function scrapeThrough(
  application: Application,
  { series, times, before }: { series: string; times: number; before: (i: number) => unknown },
): Promise<number> {
  let last = 0;
  for (let i = 0; i < times; i++) {
    await before(i);
    // A request that landed on a process that is being killed fails.
    const answer = await scrape(application).catch(() => undefined);
    if (answer) {
      const value = sample(answer, series) ?? 0;
      if (value < last) {
        throw new Error(`${series}: ${value} after ${last}, in answer ${i}`);
      }
      last = value;
    }
  }
  return last;
}
