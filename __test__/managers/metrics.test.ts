/** The metrics of a group whose members are killed, added, reloaded and stuck, under several managers. */
import type { Application } from '../support/application';
import type { Deployed } from '../support/deployments';
import { agesOf, type Scraped, sample, scrape, scrapeEach, scrapeThrough, scrapeWhileStuck } from '../support/metrics';
import { Pm2 } from '../support/pm2';
import { isAlive, killAll } from '../support/processes';
import { until } from '../support/until';
import { startBy, type Way } from '../support/ways';

const SIZE = 4;
const BOOKS = 'shop_orders_total{kind="book"}';
const COUNTING = '/count-order?kind=book';
const TIMEOUT = 500;
/** What a scrape may take beyond `metrics.timeout` (ms). */
const ALLOWANCE = 100;
const config = { metrics: { timeout: TIMEOUT } };

/** What every deployment promises, but for how processes are replaced. */
function itIsOneTruth(current: () => Deployed): void {
  it('answers /metrics from every process with what all of them have counted', async () => {
    const { application } = current();
    const members = await application.fromEach('/whoami');
    for (const [i, { pid }] of members.entries()) {
      for (let n = 0; n <= i; n++) {
        await application.getFrom(pid, COUNTING);
      }
    }
    await scrapeEach(application, answer => {
      expect(sample(answer, BOOKS)).toBe(1 + 2 + 3 + 4);
      expect(answer.contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
      expect(answer.text).toContain('\nprocess_agent_members{state="ready"} 4\n');
      expect(answer.text).toContain('\nnodejs_eventloop_lag_seconds ');
    });
  });

  it.each(['the primary', 'another process'])(
    'waits for %s no longer than metrics.timeout when it is stuck, and says who it is',
    async who => {
      const { application } = current();
      const { primary, workers } = await application.roles();
      const stuck = (who === 'the primary' ? primary : workers[0]).pid;
      const before = await Promise.all(Array.from({ length: SIZE }, () => scrape(application)));
      const counted = sample(before[0], BOOKS);
      // A few ms, where nobody else keeps the machine busy.
      const usual = Math.max(...before.map(({ ms }) => ms));
      const answers = await scrapeWhileStuck(application, { pid: stuck, ms: 2_500, timeout: TIMEOUT });
      for (const answer of answers) {
        expect(sample(answer, BOOKS)).toBe(counted);
        expect(agesOf(answer).size).toBe(SIZE);
        expect(oldIn(answer)).toContain(stuck);
      }
      // Where others keep the machine busy, a member may be late, and an answer too: but not each time.
      const best = answers.filter(answer => oldIn(answer).length === 1).map(({ ms }) => ms);
      expect(Math.min(...best)).toBeLessThanOrEqual(TIMEOUT + ALLOWANCE + usual);
      await until(async () => (await scrape(application)).ms < TIMEOUT, { what: 'it to go on' });
    },
  );
}

/** Members who have said nothing since the answer was asked for. */
function oldIn(answer: Scraped): number[] {
  return [...agesOf(answer)].filter(([, age]) => age * 1000 > answer.ms).map(([pid]) => pid);
}

function ready(application: Application, count: number): Promise<boolean> {
  return until(async () => sample(await scrape(application), 'process_agent_members{state="ready"}') === count, {
    what: `${count} members`,
    timeout: 30_000,
  });
}

afterAll(killAll);

describe.each<Way>(['ClusterManager of Midway 3', 'ClusterManager of Midway 4'])('%s', way => {
  let current: Deployed;
  beforeAll(async () => {
    current = await startBy(way, config, { workers: SIZE });
  });
  afterAll(killAll);

  itIsOneTruth(() => current);

  it('never answers less than before while workers, the primary among them, are killed and replaced', async () => {
    const { application } = current;
    const { before, after, counted } = await scrapeThrough(
      application,
      { series: BOOKS, path: COUNTING, times: 200 },
      async () => {
        // Asked before: nobody answers what a cluster hands to a process that has just been killed.
        const { primary, workers } = await application.roles();
        process.kill(primary.pid, 'SIGKILL');
        const isNext = async () => (sample(await scrape(application), 'process_agent_epoch') ?? 0) > primary.epoch;
        await until(isNext, { what: 'the next primary' });
        process.kill(workers[0].pid, 'SIGKILL');
      },
    );
    // What was counted between two scrapes dies with who has counted it: one request for each that was killed.
    expect(after).toBeGreaterThanOrEqual(before + counted - 2);
    expect(counted).toBeGreaterThan(150);
  });
});

describe.each(['cluster', 'fork'] as const)('pm2 in %s mode', mode => {
  const name = `metrics-${mode}`;
  let pm2: Pm2;
  let current: Deployed;
  beforeAll(async () => {
    pm2 = new Pm2();
    const env = { PROCESS_AGENT_CONFIG: JSON.stringify(config) };
    current = await pm2.start({ name, mode, instances: SIZE, env });
  });
  afterAll(() => pm2.kill());

  itIsOneTruth(() => current);

  /** `pm2 reload` restarts forks without waiting for them: soon there is none of the group, which begins anew. */
  async function restartOneByOne() {
    for (const { pm_id } of await pm2.list()) {
      await pm2.run('restart', String(pm_id));
      await ready(current.application, SIZE + 1);
    }
  }

  it('never answers less than before while one is killed, one is added and all are reloaded', async () => {
    const { application } = current;
    const { before, after, counted } = await scrapeThrough(
      application,
      { series: BOOKS, path: COUNTING, times: 200 },
      async () => {
        const { primary, workers } = await application.roles();
        process.kill(workers[0].pid, 'SIGKILL');
        await pm2.run('scale', name, '+1');
        await ready(application, SIZE + 1);
        await (mode === 'cluster' ? pm2.run('reload', name) : restartOneByOne());
        await until(() => !isAlive(primary.pid), { what: 'the old primary to end' });
      },
    );
    // Who stops in order loses nothing; who was killed, the one request that it had answered since the last scrape.
    expect(after).toBeGreaterThanOrEqual(before + counted - 1);
    expect(counted).toBeGreaterThan(150);
  });
});
