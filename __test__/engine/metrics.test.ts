import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../support/until';
import { type Process, Processes } from './members';

const CLIENT = 'prom-client-15';
const options = { client: CLIENT, config: { metrics: { pushInterval: 100 } } };

let processes: Processes;
beforeEach(() => {
  processes = new Processes();
});
afterEach(() => processes.end());

interface Scraped {
  text: string;
  took: number;
}

function scrape(member: Process, how: object = {}): Promise<Scraped> {
  return member.run<Scraped>('scrape', how);
}

/** The value of a series; `undefined` if it is not there. */
function valueIn(scraped: Scraped, series: string): number | undefined {
  const line = scraped.text.split('\n').find(each => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

const COUNTER = 'test_total{kind="a"}';
const files = () =>
  readdirSync(processes.runtimeDir).flatMap(group => {
    const folder = join(processes.runtimeDir, group);
    return readdirSync(folder)
      .filter(name => name.startsWith('metrics'))
      .map(name => join(folder, name));
  });

test('every member answers with the sum of all, at once', async () => {
  const { primary, workers } = await processes.group(3, options);
  const all = [primary, ...workers];
  await Promise.all(all.map((each, i) => each.run('count', i + 1)));
  await Promise.all(all.map(each => each.run('level', 10)));
  await Promise.all(all.map(each => each.run('observe', 5)));
  for (const each of all) {
    const scraped = await scrape(each);
    expect(valueIn(scraped, COUNTER)).toBe(10);
    expect(valueIn(scraped, 'test_level')).toBe(40);
    expect(valueIn(scraped, 'test_seconds_bucket{le="1"}')).toBe(0);
    expect(valueIn(scraped, 'test_seconds_bucket{le="10"}')).toBe(4);
    expect(scraped.took).toBeLessThan(500);
  }
});

test('a series that is new since the last answer is in the next one', async () => {
  const { primary, workers } = await processes.group(1, options);
  await scrape(primary);
  await workers[0].run('count', 2, 'new');
  await primary.run('count', 1, 'other');
  const scraped = await scrape(workers[0]);
  expect(valueIn(scraped, 'test_total{kind="new"}')).toBe(2);
  expect(valueIn(scraped, 'test_total{kind="other"}')).toBe(1);
});

test('series are told apart by member on wish, and written as OpenMetrics', async () => {
  const { primary, workers } = await processes.group(1, options);
  await Promise.all([primary, ...workers].map((each, i) => each.run('count', i + 1)));
  const apart = await scrape(workers[0], { memberLabel: true });
  expect(apart.text).toMatch(new RegExp(`^test_total\\{.*member="${primary.pid}".*\\} 1$`, 'm'));
  expect(apart.text).toMatch(new RegExp(`^test_total\\{.*member="${workers[0].pid}".*\\} 2$`, 'm'));
  expect((await scrape(workers[0], { format: 'openmetrics' })).text).toMatch(/# EOF\n$/);
});

test('the agent tells of itself: members, epoch, calls, lag, and how old each part is', async () => {
  const { primary, workers } = await processes.group(2, options);
  await workers[0].call('echo', 1);
  await workers[1].call('throwError', 'no').catch(() => {});
  const scraped = await scrape(primary);
  const { epoch } = await primary.run<{ epoch: number }>('role');
  expect(valueIn(scraped, 'process_agent_members{state="ready"}')).toBe(3);
  expect(valueIn(scraped, 'process_agent_epoch')).toBe(epoch);
  expect(valueIn(scraped, 'process_agent_role_changes_total')).toBe(3);
  expect(valueIn(scraped, 'process_agent_calls_total{outcome="ok"}')).toBe(1);
  expect(valueIn(scraped, 'process_agent_calls_total{outcome="executed"}')).toBe(1);
  expect(valueIn(scraped, 'process_agent_call_duration_seconds_count')).toBe(2);
  const received = valueIn(scraped, 'process_agent_bytes_total{direction="in"}') as number;
  expect(received).toBeGreaterThan(2 * 16);
  expect(valueIn(scraped, 'process_agent_bytes_total{direction="out"}')).toBeGreaterThanOrEqual(received);
  const { pid } = workers[0];
  expect(valueIn(scraped, `process_agent_member_snapshot_age_seconds{member="${pid}",pid="${pid}"}`)).toBeLessThan(1);
  expect(valueIn(scraped, `process_agent_event_loop_lag_seconds{member="${pid}"}`)).toBeLessThan(5);
});

test('a killed member leaves its counts, and its gauges vanish', async () => {
  const { primary, workers } = await processes.group(2, options);
  await workers[0].run('count', 5);
  await workers[0].run('level', 7);
  await primary.run('level', 1);
  expect(valueIn(await scrape(primary), COUNTER)).toBe(5);
  workers[0].child.kill('SIGKILL');
  await primary.until('its end', told => told.type === 'member-left');
  const scraped = await scrape(workers[1]);
  expect(valueIn(scraped, COUNTER)).toBe(5);
  expect(valueIn(scraped, 'test_level')).toBe(1);
});

test('a member that leaves loses nothing, also when it has not pushed', async () => {
  const { primary, workers } = await processes.group(1, { ...options, config: { metrics: { pushInterval: 60_000 } } });
  await workers[0].run('count', 5);
  await workers[0].run('close');
  await primary.until('its end', told => told.type === 'member-left');
  expect(valueIn(await scrape(primary), COUNTER)).toBe(5);
});

test('what a primary had counted outlives it, by SIGKILL and by a hand-over', async () => {
  const { primary, workers } = await processes.group(2, options);
  await primary.run('count', 3);
  await workers[0].run('count', 4);
  expect(valueIn(await scrape(workers[1]), COUNTER)).toBe(7);
  primary.child.kill('SIGKILL');
  await Promise.race(workers.map(each => each.until('its election', told => told.type === 'primary')));
  expect(valueIn(await scrape(workers[1]), COUNTER)).toBe(7);
  const role = await workers[0].run<{ role: string }>('role');
  const [second, last] = role.role === 'primary' ? workers : [workers[1], workers[0]];
  await second.run('count', 10);
  await second.run('stop');
  expect(valueIn(await scrape(last), COUNTER)).toBe(17);
});

test('a group that has ended begins anew', async () => {
  const { primary, workers } = await processes.group(1, options);
  await primary.run('count', 3);
  await scrape(workers[0]);
  expect(files().map(file => statSync(file).mode & 0o777)).toEqual([0o600, 0o600]);
  await primary.run('stop');
  await workers[0].run('stop');
  expect(files()).toEqual([]);

  const next = await processes.group(1, options);
  await next.primary.run('count', 1);
  await scrape(next.primary);
  // Nobody is left who could clean up.
  for (const each of [next.primary, ...next.workers]) {
    each.child.kill('SIGKILL');
    await each.exited;
  }
  const last = await processes.group(0, options);
  expect(valueIn(await scrape(last.primary), COUNTER)).toBeUndefined();
});

test('a stuck member costs at most the timeout and 100 ms, counts with what it said last, and is told', async () => {
  const { primary, workers } = await processes.group(2, options);
  await workers[0].run('count', 5);
  await scrape(primary);
  for (const stuck of [workers[0], primary]) {
    const blocked = stuck.run('block', 3_000);
    await stuck.until('its block', told => told.type === 'blocked');
    const scraped = await scrape(workers[1], { timeout: 500 });
    expect(scraped.took).toBeGreaterThan(490);
    expect(scraped.took).toBeLessThan(600);
    expect(valueIn(scraped, COUNTER)).toBe(5);
    const age = `process_agent_member_snapshot_age_seconds{member="${stuck.pid}",pid="${stuck.pid}"}`;
    expect(valueIn(scraped, age)).toBeGreaterThan(0.49);
    await workers[1].until('its word', told => told.type === 'log' && told.text.includes(`pid ${stuck.pid} has not`));
    await blocked;
  }
});

test('a scrape that can not be sent fails alone: its process is the next primary, and answers', async () => {
  const { primary, workers } = await processes.group(1, options);
  const [worker] = workers;
  await worker.run('count', 5);
  await expect(scrape(worker, { timeout: 1350.45 })).rejects.toMatchObject({ name: 'Error' });
  primary.child.kill('SIGKILL');
  await worker.until('its election', told => told.type === 'primary');
  expect(valueIn(await scrape(worker), COUNTER)).toBe(5);
});

test('readyTimeout may be as long as a timer, and a scrape waits as it does else', async () => {
  const { primary, workers } = await processes.group(1, { ...options, config: { readyTimeout: 2 ** 31 - 1 } });
  const blocked = primary.run('block', 400);
  await primary.until('its block', told => told.type === 'blocked');
  const { text } = await scrape(workers[0], { timeout: 100 });
  expect(text).toMatch(/^# HELP/);
  await blocked;
});

test('what is no metric in one member is reported, and the rest is answered', async () => {
  const { primary, workers } = await processes.group(1, options);
  await workers[0].run('count', 5);
  await workers[0].run('addGarbage', 'nonsense');
  expect(valueIn(await scrape(primary), COUNTER)).toBe(5);
  await workers[0].until('its word', told => told.type === 'log' && told.text.includes('test_garbage'));
});

test('members of which one calls a counter what is a gauge in the other are answered, and reported', async () => {
  const { primary, workers } = await processes.group(1, options);
  await primary.run('count', 5);
  await primary.run('addMetric', 'Counter', 'odd', 1);
  await workers[0].run('addMetric', 'Gauge', 'odd', 7);
  expect(valueIn(await scrape(primary), 'odd')).toBe(1);
  await primary.until('its word', told => told.type === 'log' && told.level === 'warn' && told.text.includes('odd'));
});

test('nothing goes backwards while members come and go and primaries die', async () => {
  const { primary, workers } = await processes.group(2, options);
  let alive: Process[] = [primary, ...workers];
  await Promise.all(alive.map(each => each.run('countUp', 2)));
  let last = 0;
  let scrapes = 0;
  let ended = false;
  const asker = workers[1];
  const scraping = (async () => {
    while (!ended) {
      const value = valueIn(await scrape(asker), COUNTER) ?? 0;
      expect(value).toBeGreaterThanOrEqual(last);
      last = value;
      scrapes++;
    }
  })();
  for (let round = 0; round < 6; round++) {
    const joining = processes.start(options);
    await joining.started();
    await joining.run('countUp', 2);
    const roles = await Promise.all(alive.map(each => each.run<{ role: string }>('role')));
    const leader = alive[roles.findIndex(({ role }) => role === 'primary')];
    const victim =
      leader && leader !== asker && round % 2 === 0 ? leader : alive.find(each => each !== asker && each !== leader);
    const seen = scrapes;
    await until(() => scrapes > seen + 10, { what: 'scrapes' });
    if (victim) {
      round === 3 ? await victim.run('stop') : victim.child.kill('SIGKILL');
      alive = alive.filter(each => each !== victim);
    }
    alive.push(joining);
  }
  const seen = scrapes;
  await until(() => scrapes > seen + 50, { what: 'scrapes' });
  ended = true;
  await scraping;
  expect(scrapes).toBeGreaterThan(100);
  expect(last).toBeGreaterThan(100);
}, 60_000);
