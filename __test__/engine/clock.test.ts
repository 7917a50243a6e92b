/** The wall clock may be set at any moment: it decides nothing. */
import { type MemberOptions, Processes } from './members';

const DAY = 86_400_000;
const options: MemberOptions = { client: 'prom-client-15', invocations: true };

let processes: Processes;
beforeEach(() => {
  processes = new Processes();
});
afterEach(() => processes.end());

test('a stop takes its time and no longer, though the clock is set back 30 s meanwhile', async () => {
  const { workers } = await processes.group(1, { config: { stopTimeout: 800 } });
  const [worker] = workers;
  const call = worker.call('never').catch(() => {});
  const began = performance.now();
  const stopped = worker.run('stop');
  await worker.run('setClock', -30_000);
  await stopped;
  await call;
  expect(performance.now() - began).toBeGreaterThan(700);
  expect(performance.now() - began).toBeLessThan(5_000);
});

test.each([
  ['a day ahead', DAY],
  ['a day behind', -DAY],
])('a process whose clock is %s is asked, and waited for, like every other', async (_what, shift) => {
  const { primary, workers } = await processes.group(2, options);
  await workers[0].run('setClock', shift);
  await primary.run('setClock', -shift);
  await Promise.all([primary, ...workers].map(each => each.run('count', 1)));
  for (const each of [primary, ...workers]) {
    const { text, took } = await each.run<{ text: string; took: number }>('scrape', { timeout: 5_000 });
    expect(text).toMatch(/^test_total\{kind="a"\} 3$/m);
    expect(took).toBeLessThan(3_000);
  }
  const outcomes = await workers[1].run<{ status: string; value: unknown }[]>('gather', 'pid', [], 5_000);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
});

test('whoever is asked and has another clock is not told at once that nobody waits', async () => {
  const { primary, workers } = await processes.group(1, options);
  await workers[0].run('setClock', DAY);
  const outcomes = await primary.run<{ pid: number; value: unknown }[]>('gather', 'isGivenUp', [], 5_000);
  expect(outcomes.find(each => each.pid === workers[0].pid)).toMatchObject({ status: 'fulfilled', value: false });
});

test('a member that speaks the version before is asked under the deadline that it knows', async () => {
  const { primary, workers } = await processes.group(1, options);
  const old = processes.start({ ...options, protocols: [3, 3] });
  await old.started();
  await old.run('count', 2);
  await workers[0].run('count', 3);
  const { text, took } = await primary.run<{ text: string; took: number }>('scrape', { timeout: 5_000 });
  expect(text).toMatch(/^test_total\{kind="a"\} 5$/m);
  expect(took).toBeLessThan(3_000);
  const outcomes = await workers[0].run<{ status: string }[]>('gather', 'pid', [], 5_000);
  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
});
