import { readFileSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { until } from '../support/until';
import { now, type Process, Processes, type Told } from './members';

let processes: Processes;
beforeEach(() => {
  processes = new Processes();
});
afterEach(() => processes.end());

const impatient = { config: { primary: { maxBlocked: 600 } } };
const elected = (process: Process, after = 0) =>
  process.until('an election', told => told.type === 'primary' && told.epoch > after);

async function anyElected(members: Process[], after: number): Promise<Process> {
  const { pid } = await Promise.any(members.map(each => elected(each, after)));
  return members.find(each => each.pid === pid) as Process;
}

/** What each was told of the others, by the names that these have here. */
function newsOf(members: Record<string, Process>): Record<string, string[]> {
  const names = new Map(Object.entries(members).map(([name, { pid }]) => [pid, name]));
  const news = ({ told }: Process) =>
    told.filter(({ type }) => type.startsWith('member-')).map(({ type, pid }) => `${type.slice(7)} ${names.get(pid)}`);
  return Object.fromEntries(Object.entries(members).map(([name, each]) => [name, news(each)]));
}

/** `members` are told that `other` has joined, or left. */
const know = (members: Process[], event: 'member-joined' | 'member-left', other: Process) =>
  Promise.all(members.map(each => each.until(event, ({ type, pid }) => type === event && pid === other.pid)));

/** Three that have joined one after the other, and know of each other. */
async function threeInTurn() {
  const { primary: a, workers } = await processes.group(1);
  const [b] = workers;
  const c = processes.start();
  await c.started();
  await know([a, b], 'member-joined', c);
  return { a, b, c };
}

test('who joins and leaves is told once, whoever is primary', async () => {
  const { a, b, c } = await threeInTurn();
  const { epoch } = await a.started();
  a.child.kill('SIGKILL');
  await know([b, c], 'member-left', a);
  // The engine knows it, though it is no news.
  const second = await anyElected([b, c], epoch);
  await second.until('the other one in its tenure', told => told.type === 'joined' && told.epoch > epoch);
  const d = processes.start();
  await know([b, c], 'member-joined', d);
  expect(newsOf({ a, b, c, d })).toEqual({
    a: ['joined b', 'joined c'],
    b: ['joined c', 'left a', 'joined d'],
    c: ['left a', 'joined d'],
    d: [],
  });
});

test('a member that dies with its primary has left as well', async () => {
  const { a, b, c } = await threeInTurn();
  await b.freeze();
  a.child.kill('SIGKILL');
  b.child.kill('SIGKILL');
  const d = processes.start();
  await know([c], 'member-left', a);
  await know([c], 'member-left', b);
  await know([c], 'member-joined', d);
  expect(newsOf({ a, b, c, d }).c.sort()).toEqual(['joined d', 'left a', 'left b']);
});

test('a primary that hands over has not left before it goes, and nobody else has', async () => {
  const { a, b, c } = await threeInTurn();
  const { epoch } = await a.started();
  await a.run('handOver');
  const isNext = (told: Told) => /^(primary|worker)$/.test(told.type) && told.epoch > epoch;
  await Promise.all([a, b, c].map(each => each.until('the next tenure', isNext)));
  const d = processes.start();
  await know([a, b, c], 'member-joined', d);
  await a.run('stop');
  await know([b, c, d], 'member-left', a);
  expect(newsOf({ a, b, c, d })).toEqual({
    a: ['joined b', 'joined c', 'joined d'],
    b: ['joined c', 'joined d', 'left a'],
    c: ['joined d', 'left a'],
    d: ['left a'],
  });
});

test('a primary that hands over leaves its state to the next one, which has it before it answers', async () => {
  const { primary, workers } = await processes.group(2);
  const { epoch } = await primary.started();
  await primary.run('keepLocally', { visits: 41, seen: new Map([['a', new Date(1)]]) });
  for (const each of workers) {
    await each.run('delayTakeOver', 200);
  }
  const answers = primary.run('handOver').then(() => workers[0].call('takenOver'));
  const taken = { epoch: epoch + 1, state: { visits: 41, seen: new Map([['a', new Date(1)]]) } };
  expect(await workers[1].call('takenOver')).toEqual([taken]);
  expect(await answers).toEqual([taken]);
});

test('a process that is stopped while it takes over passes on what was left to it, and stops', async () => {
  const { primary, workers } = await processes.group(1);
  await primary.run('keepLocally', 'kept');
  await workers[0].run('delayTakeOver', 5000);
  await primary.run('stop');
  await workers[0].until('the lock', told => told.type === 'log' && /is primary of/.test(told.text));
  const last = processes.start();
  await last.until('its attempt', told => told.type === 'trying');
  await workers[0].run('stop');
  await elected(last);
  expect(await last.run('takenOver')).toMatchObject([{ state: 'kept' }]);
  expect(workers[0].told.some(told => told.type === 'primary')).toBe(false);
});

test('a state is taken over once: the primary after a death starts with nothing', async () => {
  const { primary, workers } = await processes.group(2);
  await primary.run('keepLocally', 'kept');
  const { epoch } = await primary.started();
  await primary.run('stop');
  const second = await anyElected(workers, epoch);
  second.child.kill('SIGKILL');
  const third = workers.find(each => each !== second) as Process;
  await elected(third, epoch + 1);
  expect(await third.run('takenOver')).toEqual([{ epoch: epoch + 2 }]);
});

test('a state that can not be read does not keep a process from becoming primary', async () => {
  const { primary, workers } = await processes.group(1);
  const { epoch } = await primary.started();
  await primary.run('keepLocally', 'kept');
  const { folder } = await primary.run<{ folder: string }>('explain');
  const taken = workers[0].until('the election', told => told.type === 'primary');
  await workers[0].freeze();
  const stopped = primary.run('stop');
  const file = path.join(folder, 'handover');
  const left = await until(() => readFileSync(file), { what: 'the state', every: 1 });
  // The same length, and no value of any codec: the first byte of the body tells which it is.
  const body = left.indexOf(10) + 1;
  writeFileSync(
    file,
    Buffer.concat([left.subarray(0, body), Buffer.from([1]), Buffer.alloc(left.length - body - 1, 0xee)]),
  );
  workers[0].child.kill('SIGCONT');
  await taken;
  await stopped;
  expect(await workers[0].run('takenOver')).toEqual([{ epoch: epoch + 1 }]);
});

test('a stuck primary is not relieved when the only other member is frozen', async () => {
  const { primary, workers } = await processes.group(1, impatient);
  const { epoch } = await primary.started();
  await workers[0].freeze();
  await primary.run('block', 6000);
  expect(await primary.run('role')).toMatchObject({ role: 'primary', epoch });
  workers[0].child.kill('SIGCONT');
  expect(await workers[0].call('pid')).toBe(primary.pid);
  expect(await primary.run('role')).toMatchObject({ role: 'primary', epoch });
});

test('calls wait for a primary that takes over, and it is no primary before it has', async () => {
  const { primary, workers } = await processes.group(1);
  await workers[0].run('delayTakeOver', 300);
  const stopped = primary.run('stop');
  const call = workers[0].call('pid');
  await workers[0].until('the loss', told => told.type === 'log' && /is gone/.test(told.text));
  expect((await workers[0].run<{ role: string }>('role')).role).toBe('worker');
  expect(await call).toBe(workers[0].pid);
  expect((await workers[0].run<{ role: string }>('role')).role).toBe('primary');
  await stopped;
});

test('a call that waits until its own process is primary keeps its timeout and its signal', async () => {
  const { primary, workers } = await processes.group(1);
  const [worker] = workers;
  await worker.run('delayTakeOver', 300);
  await primary.run('handOver');
  const late = worker.run('call', 'never', [], { timeout: 900 }).catch(error => error);
  const left = worker.run('abortAfter', 900, 'never', []).catch(error => error);
  const answered = worker.run('call', 'after', [500, 'here'], { timeout: 5000 });
  expect((await worker.run<{ role: string }>('role')).role).toBe('worker');
  expect(await late).toMatchObject({ code: 'ERR_AGENT_TIMEOUT', outcome: 'unknown' });
  expect(await left).toMatchObject({ code: 'ERR_AGENT_ABORTED', outcome: 'unknown' });
  expect(await answered).toBe('here');
});

test('the tenure of a primary ends with its role', async () => {
  const { primary, workers } = await processes.group(1);
  expect(await workers[0].run('tenure')).toBeUndefined();
  expect(await primary.run('tenure')).toEqual({ aborted: false });
  await primary.run('watchTenure');
  await primary.run('handOver');
  await primary.until('the end', told => told.type === 'tenure ended' && told.code === 'ERR_AGENT_ABORTED');
  expect(await primary.run('tenure')).toBeUndefined();
});

test('a stuck primary is relieved; its calls are lost or go to the next one, and when it wakes it is a worker', async () => {
  const { primary, workers } = await processes.group(2, impatient);
  const { epoch } = await primary.started();
  await primary.run('watchTenure');
  const begun = workers[0].run('call', 'never', [], { idempotent: true }).catch(error => error);
  await workers[0].call('pid');
  const began = now();
  const blocked = primary.run('block', 3000);
  await primary.until('the block', told => told.type === 'blocked');
  const waiting = workers[1].call('pid');
  const next = await anyElected(workers, epoch);
  expect(now() - began).toBeLessThan(1500);
  expect(await begun).toMatchObject({
    code: 'ERR_AGENT_PRIMARY_LOST',
    outcome: 'unknown',
    message: expect.stringContaining('was relieved'),
  });
  expect(await waiting).toBe(next.pid);
  await blocked;
  await primary.until('its new role', told => told.type === 'worker' && told.epoch > epoch);
  await primary.until('the end of its tenure', told => told.type === 'tenure ended');
  expect(await primary.call('pid')).toBe(next.pid);
});

test('calls behind the one that is stuck go to the next primary, also when they had come with it', async () => {
  const { primary, workers } = await processes.group(2, impatient);
  const blocked = primary.run('block', 300);
  await primary.until('the block', told => told.type === 'blocked');
  const stuck = workers[0].call('spin', 3000).catch(error => error);
  const behind = Array.from({ length: 5 }, () => workers[0].call<number>('pid'));
  await blocked;
  const pids = await Promise.all(behind);
  expect(pids).toEqual(Array(5).fill(pids[0]));
  expect(workers.map(each => each.pid)).toContain(pids[0]);
  expect(await stuck).toMatchObject({ code: 'ERR_AGENT_PRIMARY_LOST', outcome: 'unknown' });
});

test('late replies of a primary that was relieved settle nothing', async () => {
  const { primary, workers } = await processes.group(1, impatient);
  const { epoch } = await primary.started();
  const lost = workers[0].call('spinThen', 2000, 'late').catch(error => error);
  await elected(workers[0], epoch);
  expect(await lost).toMatchObject({ code: 'ERR_AGENT_PRIMARY_LOST', outcome: 'unknown' });
  await primary.until('its new role', told => told.type === 'worker' && told.epoch > epoch);
  expect(await primary.call('pid')).toBe(workers[0].pid);
});

test('a busy primary that turns its event loop is left alone', async () => {
  const { primary, workers } = await processes.group(1, impatient);
  await workers[0].run('flood', 50, 'spin', [1]);
  await workers[0].call('after', 2500);
  expect((await primary.run<{ role: string }>('role')).role).toBe('primary');
  expect(workers[0].told.some(told => told.type === 'primary')).toBe(false);
});

test('calls to a frozen primary fail, nobody takes over, and when it goes on it answers again', async () => {
  const { primary, workers } = await processes.group(1, impatient);
  const [worker] = workers;
  await worker.call('pid');
  await primary.freeze();
  const began = now();
  await expect(worker.call('pid')).rejects.toMatchObject({ code: 'ERR_AGENT_PRIMARY_FROZEN', outcome: 'unknown' });
  expect(now() - began).toBeLessThan(1500);
  await expect(worker.call('pid')).rejects.toMatchObject({ code: 'ERR_AGENT_PRIMARY_FROZEN', outcome: 'not-sent' });
  await expect(worker.run('gather', 'pid', [], 100)).rejects.toMatchObject({ code: 'ERR_AGENT_PRIMARY_FROZEN' });
  await expect(worker.run('publish', 'x', 1)).rejects.toMatchObject({ code: 'ERR_AGENT_PRIMARY_FROZEN' });
  expect(worker.told.some(told => told.type === 'primary')).toBe(false);
  primary.child.kill('SIGCONT');
  await worker.until('the thaw', told => told.type === 'log' && /goes on$/.test(told.text));
  expect(await worker.call('pid')).toBe(primary.pid);
});

test('a frozen primary is killed where that is wanted, and the next one takes over', async () => {
  const { primary, workers } = await processes.group(1, {
    config: { primary: { maxBlocked: 600, onFrozen: 'kill' } },
  });
  const { epoch } = await primary.started();
  await primary.freeze();
  await primary.exited;
  await elected(workers[0], epoch);
  expect(primary.child.signalCode).toBe('SIGKILL');
});

test('a process that was frozen itself blames nobody', async () => {
  const { primary, workers } = await processes.group(1, impatient);
  await workers[0].freeze();
  await new Promise(resolve => setTimeout(resolve, 2000));
  workers[0].child.kill('SIGCONT');
  expect(await workers[0].call('pid')).toBe(primary.pid);
  expect(workers[0].told.filter(told => told.type === 'log' && /frozen/.test(told.text))).toEqual([]);
});

test.each([
  [
    [2, 2],
    [2, 3],
  ],
  [
    [2, 3],
    [2, 2],
  ],
])('a primary of protocols %j and a member of %j make one group', async (first, second) => {
  const primary = processes.start({ protocols: first as [number, number] });
  await primary.started();
  const worker = processes.start({ protocols: second as [number, number] });
  expect((await worker.started()).role).toBe('worker');
  expect(await worker.call('pid')).toBe(primary.pid);
  await primary.run('handOver');
  expect(await primary.call('pid')).toBe(worker.pid);
});

test.each([
  [
    [2, 2],
    [3, 4],
  ],
  [
    [3, 4],
    [2, 2],
  ],
])('a primary of protocols %j refuses a member of %j, which makes no second group', async (first, second) => {
  const primary = processes.start({ protocols: first as [number, number] });
  await primary.started();
  const other = processes.start({ protocols: second as [number, number] });
  const failed = await other.until('the refusal', told => told.type === 'failed');
  expect(failed).toMatchObject({ code: 'ERR_AGENT_REFUSED', message: expect.stringContaining('speaks protocol') });
  expect(other.told.some(told => told.type === 'primary')).toBe(false);
});
