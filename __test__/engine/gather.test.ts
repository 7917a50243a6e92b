import { now, type Process, Processes } from './members';

let processes: Processes;
beforeEach(() => {
  processes = new Processes();
});
afterEach(() => processes.end());

interface Outcome {
  pid: number;
  id: number;
  status: 'fulfilled' | 'rejected';
  value?: unknown;
  code?: string;
  outcome?: string;
  message?: string;
}
const gather = (from: Process, name: string, args: unknown[] = [], timeout = 5000) =>
  from.run<Outcome[]>('gather', name, args, timeout);
const byPid = (outcomes: Outcome[]) => new Map(outcomes.map(each => [each.pid, each]));
const topics = (process: Process) => process.told.filter(told => told.type === 'topic');

test.each(['the primary', 'a worker'])('%s gathers one answer of each member, its own included', async who => {
  const { primary, workers } = await processes.group(3);
  const outcomes = await gather(who === 'a worker' ? workers[0] : primary, 'pid');
  expect(outcomes.map(each => each.value).sort()).toEqual([primary, ...workers].map(each => each.pid).sort());
  expect(outcomes.map(each => each.id)).toEqual([...outcomes.map(each => each.id)].sort((a, b) => a - b));
  expect(outcomes[0].pid).toBe(primary.pid);
});

test('answers are of every kind, and what one member throws is its own outcome', async () => {
  const { workers } = await processes.group(2);
  const values = await gather(workers[0], 'echo', [new Map([[1, new Date(3)]])]);
  expect(values.map(each => each.value)).toEqual(Array(3).fill(new Map([[1, new Date(3)]])));
  expect((await gather(workers[0], 'nothing')).map(({ status, value }) => [status, value])).toEqual(
    Array(3).fill(['fulfilled', undefined]),
  );
  for (const { status, message } of await gather(workers[0], 'throwError', ['no'])) {
    expect([status, message]).toEqual(['rejected', 'no']);
  }
});

test('a stuck member, the primary too, costs the others nothing but the time until the deadline', async () => {
  const { primary, workers } = await processes.group(3);
  for (const stuck of [workers[1], primary]) {
    const blocked = stuck.run('block', 1500);
    await stuck.until('the block', told => told.type === 'blocked');
    const began = now();
    const outcomes = byPid(await gather(workers[0], 'pid', [], 400));
    expect(now() - began).toBeLessThan(900);
    expect(outcomes.get(stuck.pid)).toMatchObject({ code: 'ERR_AGENT_TIMEOUT', outcome: 'unknown' });
    expect([...outcomes.values()].filter(each => each.status === 'fulfilled')).toHaveLength(3);
    await blocked;
    stuck.told.length = 0;
  }
});

test('a gather ends when its time is up also while the primary is frozen, and the next one is answered', async () => {
  const { primary, workers } = await processes.group(2);
  await primary.freeze();
  const began = now();
  await expect(gather(workers[0], 'record', ['x'], 300)).rejects.toMatchObject({
    code: 'ERR_AGENT_TIMEOUT',
    outcome: 'unknown',
  });
  expect(now() - began).toBeLessThan(3000);
  primary.child.kill('SIGCONT');
  expect((await gather(workers[0], 'pid')).filter(each => each.status === 'fulfilled')).toHaveLength(3);
});

test('an asker that was busy when time was up gets the answers that came before', async () => {
  const { workers } = await processes.group(2);
  const outcomes = gather(workers[0], 'after', [50, 'ok'], 500);
  await workers[0].run('block', 1500);
  expect((await outcomes).map(each => each.value)).toEqual(Array(3).fill('ok'));
});

test('a question whose deadline has passed is not run any more', async () => {
  const { workers } = await processes.group(2);
  const [asker, stuck] = workers;
  const blocked = stuck.run('block', 1000);
  await stuck.until('the block', told => told.type === 'blocked');
  await gather(asker, 'record', ['x'], 100);
  await blocked;
  await gather(asker, 'pid');
  expect(byPid(await gather(asker, 'recorded')).get(stuck.pid)?.value).toEqual([]);
});

test('a member that was frozen does not run a question whose deadline has passed', async () => {
  const { workers } = await processes.group(2);
  const [asker, frozen] = workers;
  await frozen.freeze();
  const outcomes = byPid(await gather(asker, 'record', ['x'], 200));
  expect(outcomes.get(frozen.pid)).toMatchObject({ code: 'ERR_AGENT_TIMEOUT' });
  frozen.child.kill('SIGCONT');
  expect(byPid(await gather(asker, 'recorded')).get(frozen.pid)?.value).toEqual([]);
});

test('a question that waits for a start is not run when its deadline has passed by then', async () => {
  const { primary } = await processes.group(0);
  const starting = processes.start({ starting: true });
  await starting.started();
  await primary.run('lateMethod', 'late');
  const [, outcome] = await gather(primary, 'late', [], 200);
  expect(outcome).toMatchObject({ pid: starting.pid, code: 'ERR_AGENT_TIMEOUT' });
  await starting.run('lateMethod', 'late');
  await starting.run('markReady');
  expect(starting.told.some(told => told.type === 'late')).toBe(false);
});

test('a member that dies before it answers is an outcome at once', async () => {
  const { workers } = await processes.group(2);
  const outcomes = gather(workers[0], 'after', [10_000], 20_000);
  const began = now();
  await workers[0].call('pid');
  workers[1].child.kill('SIGKILL');
  const others = gather(workers[0], 'after', [300, 'ok'], 20_000);
  expect(byPid(await others).size).toBeGreaterThanOrEqual(2);
  expect(now() - began).toBeLessThan(5000);
  processes.all[0].child.kill('SIGKILL');
  await expect(outcomes).rejects.toMatchObject({ code: 'ERR_AGENT_PRIMARY_LOST', outcome: 'unknown' });
});

test('a gather that waits for a primary is made when there is one', async () => {
  const worker = processes.start({ config: { candidate: false, readyTimeout: 10_000 } });
  const primary = processes.start();
  await Promise.all([worker.started(), primary.started()]);
  primary.child.kill('SIGKILL');
  await worker.until('the loss', told => told.type === 'log' && /is gone/.test(told.text));
  const outcomes = gather(worker, 'pid');
  const next = processes.start();
  await next.started();
  expect((await outcomes).map(each => each.value).sort()).toContain(worker.pid);
});

test('a member that is still starting answers for what it has not yet when it has started', async () => {
  const { primary } = await processes.group(0);
  const starting = processes.start({ starting: true });
  await starting.started();
  await primary.run('lateMethod', 'late');
  const outcomes = gather(primary, 'late');
  await gather(primary, 'pid');
  await starting.run('lateMethod', 'late');
  await starting.run('markReady');
  expect((await outcomes).map(each => each.value).sort()).toEqual([primary.pid, starting.pid].sort());
});

test('a gather under way comes to its end while the primary hands over, and none is lost', async () => {
  const { primary, workers } = await processes.group(3);
  const underWay = gather(workers[0], 'after', [300, 'slow']);
  await workers[0].call('pid');
  const handedOver = primary.run('handOver');
  const later = Array.from({ length: 20 }, (_, i) => gather(workers[i % 3], 'echo', [i]));
  expect((await underWay).map(each => each.value)).toEqual(Array(4).fill('slow'));
  await handedOver;
  for (const [i, outcomes] of (await Promise.all(later)).entries()) {
    expect(outcomes.filter(each => each.value === i).length).toBeGreaterThanOrEqual(1);
    expect(outcomes.filter(each => each.status === 'rejected')).toEqual([]);
  }
});

test('more than maxPayload is refused before it is sent', async () => {
  const { workers } = await processes.group(1, { config: { maxPayload: 10_000 } });
  await expect(gather(workers[0], 'echo', ['x'.repeat(20_000)])).rejects.toMatchObject({
    code: 'ERR_AGENT_TOO_LARGE',
    outcome: 'not-sent',
  });
});

test('what the primary does not take is refused before it is sent, and an answer that it does not take is an outcome', async () => {
  const primary = processes.start({ config: { maxPayload: 100_000 } });
  await primary.started();
  const workers = [processes.start(), processes.start()];
  await Promise.all(workers.map(each => each.started()));
  const load = 'x'.repeat(3_000_000);
  const tooLarge = { code: 'ERR_AGENT_TOO_LARGE', outcome: 'not-sent' };
  await expect(gather(workers[0], 'echo', [load])).rejects.toMatchObject(tooLarge);
  await expect(workers[0].run('publish', 'x', load)).rejects.toMatchObject(tooLarge);
  const outcomes = byPid(await gather(workers[0], 'large', [3_000_000]));
  expect(outcomes.get(workers[1].pid)).toMatchObject({ code: 'ERR_AGENT_TOO_LARGE', outcome: 'executed' });
  expect(workers[0].told.filter(told => told.type === 'worker')).toHaveLength(1);
});

test('answers of more than may wait for the asker are outcomes, and it stays a member', async () => {
  const primary = processes.start({ config: { maxPendingBytes: 8_000_000 } });
  await primary.started();
  const workers = Array.from({ length: 4 }, () => processes.start());
  await Promise.all(workers.map(each => each.started()));
  const asked = gather(workers[0], 'large', [6_000_000]);
  for (const { status, code } of await asked) {
    expect(status === 'fulfilled' || code === 'ERR_AGENT_TOO_LARGE').toBe(true);
  }
  expect(workers[0].told.filter(told => told.type === 'worker')).toHaveLength(1);
  expect(await gather(workers[0], 'pid')).toHaveLength(5);
});

test.each(['the primary', 'a worker'])(
  '%s publishes far more at once than may wait, and all get everything',
  async who => {
    const { primary, workers } = await processes.group(2, { config: { maxPendingBytes: 400_000_000 } });
    const publisher = who === 'a worker' ? workers[0] : primary;
    await publisher.run('publishMany', 'load', 60, 4_000_000);
    for (const each of [primary, ...workers]) {
      await each.until('everything', () => topics(each).length === 60);
    }
    expect(workers[1].told.filter(told => told.type === 'worker')).toHaveLength(1);
  },
  60_000,
);

test('a process that stops lets its own gathers end', async () => {
  const { workers } = await processes.group(2);
  const outcomes = gather(workers[0], 'after', [400, 'ok']);
  await workers[0].call('pid');
  await workers[0].run('stop');
  expect((await outcomes).filter(each => each.value === 'ok').length).toBeGreaterThanOrEqual(2);
});

test('large questions and answers in both directions do not wait for each other', async () => {
  const { primary, workers } = await processes.group(2);
  const load = 'x'.repeat(8_000_000);
  const all = [primary, ...workers].flatMap(each => [gather(each, 'echo', [load]), gather(each, 'echo', [load])]);
  for (const outcomes of await Promise.all(all)) {
    expect(outcomes.map(each => (each.value as string).length)).toEqual(Array(3).fill(8_000_000));
  }
}, 60_000);

test('what is published reaches every member in the order in which it was published', async () => {
  const { primary, workers } = await processes.group(3);
  const all = Array.from({ length: 500 }, (_, i) => (i % 5 === 0 ? new Date(i) : i));
  await Promise.all([workers[0].run('publishAll', 'a', all), primary.run('publishAll', 'b', all)]);
  for (const each of [primary, ...workers]) {
    await each.until('everything', () => topics(each).length === 1000);
    for (const [topic, from] of [
      ['a', workers[0].pid],
      ['b', primary.pid],
    ]) {
      const got = topics(each).filter(told => told.topic === topic);
      expect(got.map(told => told.data)).toEqual(all);
      expect(new Set(got.map(told => told.from))).toEqual(new Set([from]));
    }
  }
});

test('what is published while a primary hands over arrives once, and in order', async () => {
  const { primary, workers } = await processes.group(2);
  const all = Array.from({ length: 300 }, (_, i) => i);
  const published = all.map(async i => {
    await new Promise(resolve => setTimeout(resolve, i));
    await workers[0].run('publish', 'x', i);
  });
  await workers[0].call('pid');
  await primary.run('stop');
  await Promise.all(published);
  // Who publishes gets everything; another one may have missed what came before it had joined the next primary.
  await workers[0].until('the last', () => topics(workers[0]).length >= 300);
  const numbers = topics(workers[0]).map(told => told.data);
  expect(new Set(numbers).size).toBe(300);
  expect(numbers).toHaveLength(300);
});

test('a publishing whose primary is killed says that it is unknown who has got it', async () => {
  const { primary, workers } = await processes.group(1);
  await primary.freeze();
  const published = workers[0].run('publish', 'x', 1).catch(error => error);
  await workers[0].run('role');
  primary.child.kill('SIGKILL');
  expect(await published).toMatchObject({ code: 'ERR_AGENT_PRIMARY_LOST', outcome: 'unknown' });
});

test('a member whose JavaScript is stuck costs its publishers nothing', async () => {
  const { primary, workers } = await processes.group(2);
  const blocked = workers[1].run('block', 2500);
  await workers[1].until('the block', told => told.type === 'blocked');
  const began = now();
  await workers[0].run('publishAll', 'load', Array(100).fill('x'.repeat(200_000)));
  expect(now() - began).toBeLessThan(2000);
  await primary.until('everything', () => topics(primary).length === 100);
  await blocked;
  await workers[1].until('everything', () => topics(workers[1]).length === 100);
}, 60_000);
