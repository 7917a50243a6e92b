import type { Application } from './application';
import { request } from './http';
import { until } from './until';

export interface Scraped {
  pid: number;
  contentType: string | null;
  text: string;
  /** When it was asked for, by this process's clock. */
  began: number;
  /** From then to the end of the answer. */
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
  const pid = Number(answer.headers.get('x-pid'));
  return { pid, contentType: answer.headers.get('content-type'), text, began, ms };
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

interface Through {
  /** A counter that each request to `path` adds 1 to. */
  series: string;
  path: string;
  times: number;
}

/**
 * Counts and scrapes in turns, until it has done so so many times and `deeds` have ended, and once more. A counter may
 * never fall. Gives what it was at the end, and how many of the requests that count were answered.
 */
export async function scrapeThrough(
  application: Application,
  { series, path, times }: Through,
  deeds: () => Promise<unknown>,
): Promise<{ before: number; after: number; counted: number }> {
  const before = sample(await scrape(application), series) ?? 0;
  let done = false;
  const doing = deeds().finally(() => {
    done = true;
  });
  // It fails the test when it is awaited.
  doing.catch(() => {});
  let [last, counted] = [before, 0];
  for (let i = 0; i < times || !done; i++) {
    counted += await countOn(application, path);
    // A request that landed on a process that is being killed fails.
    const answer = await scrape(application).catch(() => undefined);
    last = answer ? noLess(answer, series, last) : last;
  }
  await doing;
  const answer = await until(() => scrape(application), { what: 'a last answer' });
  return { before, after: noLess(answer, series, last), counted };
}

async function countOn({ ports }: Application, path: string): Promise<number> {
  const port = ports[Math.floor(Math.random() * ports.length)];
  const answer = await request(port, path, { timeout: PATIENCE }).catch(() => undefined);
  return answer?.status === 200 ? 1 : 0;
}

function noLess(answer: Scraped, series: string, last: number): number {
  const value = sample(answer, series) ?? 0;
  if (value < last) {
    throw new Error(`${series}: ${value} after ${last}`);
  }
  return value;
}

/**
 * Makes a member's event loop hang for `ms`, and scrapes every 50 ms until it runs again. Gives what the others have
 * answered to requests that were made, and answered, while it certainly hung: after one had to wait for `timeout`.
 */
export async function scrapeWhileStuck(
  application: Application,
  { pid, ms, timeout }: { pid: number; ms: number; timeout: number },
): Promise<Scraped[]> {
  await application.getFrom(pid, `/stall?ms=${ms}`);
  const end = performance.now() + ms;
  const answers: Scraped[] = [];
  const all: Promise<unknown>[] = [];
  let stuckSince = Number.POSITIVE_INFINITY;
  while (performance.now() < end) {
    const asked = scrape(application).then(
      answer => {
        if (answer.began >= stuckSince && answer.pid !== pid && performance.now() < end) {
          answers.push(answer);
        } else if (answer.ms >= timeout) {
          stuckSince = Math.min(stuckSince, performance.now());
        }
      },
      // Handed to the one that hangs, and given up.
      () => {},
    );
    all.push(asked);
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  await Promise.all(all);
  return answers;
}

/** How old each member's part is (s), by pid. */
export function agesOf({ text }: { text: string }): Map<number, number> {
  const lines = text.matchAll(/^process_agent_member_snapshot_age_seconds\{.*pid="(\d+)".*\} (\S+)$/gm);
  return new Map([...lines].map(([, pid, age]) => [Number(pid), Number(age)]));
}
