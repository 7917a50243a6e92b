import type { WhoAmI } from '../support/application';
import type { Deployed } from '../support/deployments';
import { isAlive, killAll } from '../support/processes';
import { onePrimary } from '../support/promises';
import { until, within } from '../support/until';
import { killPm2, startBy, type Way } from '../support/ways';

const MAX_BLOCKED = 1_000;
/** A process that answers nothing must not hold the test up: node:cluster may give it a request. */
const SOON = { timeout: 1_000 };

let current: Deployed;
let primary: WhoAmI;
let workers: WhoAmI[];

async function start(way: Way, onFrozen: 'wait' | 'kill' = 'wait') {
  current = await startBy(way, { primary: { maxBlocked: MAX_BLOCKED, onFrozen } });
  ({ primary, workers } = await current.application.roles());
}

async function end() {
  await killAll();
  await killPm2();
}

/** The first answer that will do, of requests that are made every 50 ms and don't wait for each other. */
function soonest<T>(ask: () => Promise<T>, willDo: (answer: T) => boolean): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const first = new Promise<T>(resolve => {
    timer = setInterval(() => ask().then(answer => willDo(answer) && resolve(answer), String), 50);
  });
  return within(first, { what: 'an answer that will do', timeout: 5_000 }).finally(() => clearInterval(timer));
}

const historyOf = async (pid: number) => {
  const { history } = await current.application.getFrom<{ history: string[] }>(pid, '/history', SOON);
  return history;
};

describe.each<Way>(['ClusterManager of Midway 3', 'ClusterManager of Midway 4', 'pm2 in cluster mode'])(
  'a primary whose request handler never returns, under %s',
  way => {
    beforeAll(() => start(way));
    afterAll(end);

    it('is relieved: the others go on, and it comes back as a worker', async () => {
      const { application } = current;
      const began = Date.now();
      const stuck = application.requestTo(primary.pid, '/block?ms=3000');
      const [worker] = workers;
      await soonest(
        () => application.getFrom(worker.pid, '/ledger/add?id=meanwhile', { timeout: 3_000 }),
        ({ executedBy }) => executedBy !== primary.pid,
      );
      const took = Date.now() - began;
      console.info(`${way}: another primary after ${took} ms`);
      expect(took).toBeGreaterThan(MAX_BLOCKED * 0.9);
      // Long before it comes back by itself.
      expect(took).toBeLessThan(2_800);

      // It has done nothing but block all that time, and answers now that it can.
      expect((await stuck).status).toBe(200);
      expect(Date.now() - began).toBeGreaterThanOrEqual(3_000);
      const next = await onePrimary(application, 3);
      expect(next.pid).not.toBe(primary.pid);
      expect(next.epoch).toBeGreaterThan(primary.epoch);
      expect(await application.getFrom(primary.pid, '/whoami')).toMatchObject({ role: 'worker', epoch: next.epoch });
      expect(await historyOf(primary.pid)).toEqual(['primary', 'tenure aborted', 'worker']);
      expect((await historyOf(next.pid)).at(-1)).toBe('primary');
      expect(await application.getFrom(primary.pid, '/get')).toMatchObject({ executedBy: next.pid });
    });
  },
);

describe.each<Way>(['ClusterManager of Midway 4', 'plain processes with one group name'])(
  'a primary whose process is frozen, under %s',
  way => {
    beforeAll(() => start(way));
    afterAll(async () => {
      if (isAlive(primary.pid)) {
        process.kill(primary.pid, 'SIGCONT');
      }
      await end();
    });

    type Caught = { code: string; outcome: string };
    const call = async (pid: number) => {
      const { thrown } = await current.application.getFrom<{ thrown: Caught }>(pid, '/stock/reserve', SOON);
      return thrown;
    };

    it('fails calls, and nobody takes over; when it goes on, so do they', async () => {
      const [worker] = workers;
      process.kill(primary.pid, 'SIGSTOP');
      const inFlight = await soonest(
        () => current.application.getFrom<{ thrown: Caught }>(worker.pid, '/hang', { timeout: 3_000 }),
        ({ thrown }) => thrown.outcome === 'unknown',
      );
      expect(inFlight.thrown).toMatchObject({ code: 'ERR_AGENT_PRIMARY_FROZEN', outcome: 'unknown' });
      for (const { pid } of workers) {
        await until(async () => (await call(pid)).code === 'ERR_AGENT_PRIMARY_FROZEN', { what: 'calls to fail' });
        expect(await call(pid)).toMatchObject({ code: 'ERR_AGENT_PRIMARY_FROZEN', outcome: 'not-sent' });
        expect(await historyOf(pid)).not.toContain('primary');
      }

      process.kill(primary.pid, 'SIGCONT');
      for (const { pid } of workers) {
        await until(async () => 'nothing' in (await call(pid)), { what: 'calls to succeed', every: 10 });
      }
      expect(await onePrimary(current.application, 3)).toMatchObject({ pid: primary.pid, epoch: primary.epoch });
      expect(await historyOf(primary.pid)).toEqual(['primary']);
    });
  },
);

describe.each<Way>(['ClusterManager of Midway 3'])("a frozen primary, with onFrozen: 'kill', under %s", way => {
  beforeAll(() => start(way, 'kill'));
  afterAll(end);

  it('is killed, and the next one goes on', async () => {
    process.kill(primary.pid, 'SIGSTOP');
    await until(() => !isAlive(primary.pid), { what: 'the frozen process to be killed', timeout: 5_000, every: 10 });
    // Not every manager replaces it.
    const next = await onePrimary(current.application, 2);
    expect(next.pid).not.toBe(primary.pid);
    expect(next.epoch).toBeGreaterThan(primary.epoch);
    const [worker] = workers;
    expect(await current.application.getFrom(worker.pid, '/get', SOON)).toMatchObject({ executedBy: next.pid });
  });
});
