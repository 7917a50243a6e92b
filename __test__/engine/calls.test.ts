import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Processes } from './members';

let processes: Processes;
beforeEach(() => {
  processes = new Processes();
});
afterEach(() => processes.end());

test.each([
  ['an empty object', {}],
  ['null', null],
  ['undefined', undefined],
  ['an empty string', ''],
  ['a lone surrogate', '\ud800 and \u{1f600} and ünï'],
  ['minus zero', -0],
  ['NaN', Number.NaN],
  ['a big integer', 2n ** 70n],
  ['a date', new Date(1234567890123)],
  ['a buffer', Buffer.from([0, 255, 10])],
  ['a map of sets', new Map([['a', new Set([1, undefined])]])],
  ['undefined in an object', { a: undefined, b: [undefined] }],
  ['an own __proto__', JSON.parse('{"__proto__": 1, "a": 2}')],
])('%s comes back as it was', async (_, value) => {
  const { workers } = await processes.group(1);
  expect(await workers[0].call('echo', value)).toStrictEqual(value);
});

test('a function in a result is refused by its path, after the call has run', async () => {
  const { workers } = await processes.group(1);
  await expect(workers[0].call('callback')).rejects.toMatchObject({
    code: 'ERR_AGENT_NOT_SERIALIZABLE',
    outcome: 'executed',
    message: expect.stringContaining('result.inner[0] is a function'),
  });
});

test('a method that returns nothing gives undefined', async () => {
  const { workers } = await processes.group(1);
  expect(await workers[0].call('nothing')).toBeUndefined();
});

test.each([
  ['null', null],
  ['a string', 'no'],
  ['undefined', undefined],
])('a thrown %s is thrown in the caller too', async (_, value) => {
  const { workers } = await processes.group(1);
  await expect(workers[0].call('throwValue', value)).rejects.toMatchObject({ thrown: String(value), own: value });
});

test('a thrown error keeps its class, code, status and both stacks', async () => {
  const { workers } = await processes.group(1);
  const error = await workers[0].call<never>('throwError', 'teapot').catch(thrown => thrown);
  expect(error).toMatchObject({ name: 'TypeError', message: 'teapot', code: 'E_TEST', status: 418 });
  expect(error.isTypeError).toBe(true);
  expect(error.stack).toContain('throwError');
  expect(error.stack).toContain(`called from pid ${workers[0].pid}`);
});

test('payloads up to 64 MiB arrive whole, larger ones are refused before they are sent', async () => {
  const { workers } = await processes.group(1);
  const [worker] = workers;
  // Made and compared in the worker: the channel to this test is slower than what is tested.
  for (const size of [0, 1, 65_535, 65_536, 1_000_000, 20_000_000, 64 * 1024 * 1024 - 64]) {
    expect(await worker.run('echoes', 'bytes', size)).toBe(true);
    expect(await worker.run('echoes', 'text', size)).toBe(true);
  }
  await expect(worker.run('echoes', 'bytes', 64 * 1024 * 1024 + 1)).rejects.toMatchObject({
    code: 'ERR_AGENT_TOO_LARGE',
    outcome: 'not-sent',
  });
  await expect(worker.call('large', 65 * 1024 * 1024)).rejects.toMatchObject({
    code: 'ERR_AGENT_TOO_LARGE',
    outcome: 'executed',
  });
  expect(await worker.call('echo', 'still here')).toBe('still here');
}, 120_000);

test('what a call with a large value was encoded in is freed when it is answered, not when it is collected', async () => {
  const { primary, workers } = await processes.group(1);
  const [worker] = workers;
  await worker.run('callWithMegabytes', 1, 'length');
  expect(await worker.run('callWithMegabytes', 10, 'length')).toBeLessThan(5_000_000);
  const before = await primary.run<number>('external');
  for (let i = 0; i < 10; i++) {
    await worker.call('megabyte');
  }
  expect((await primary.run<number>('external')) - before).toBeLessThan(5_000_000);
});

test('a call with a large value that is made again is made with the same value', async () => {
  const { primary, workers } = await processes.group(2);
  const value = Buffer.alloc(1_000_000, 9);
  const call = workers[0].run('call', 'after', [1000, value], { idempotent: true });
  await workers[0].call('pid');
  primary.child.kill('SIGKILL');
  expect(await call).toEqual(value);
});

test('a large value that the primary keeps, and one that the caller keeps, stay what they were', async () => {
  const [worker] = (await processes.group(1)).workers;
  expect(await worker.run('echoesLater', 30)).toBe(true);
});

test('calls of one member run in the order in which they were made, whatever their size and codec', async () => {
  const { workers } = await processes.group(2);
  const calls = Array.from({ length: 3000 }, (_, i) => {
    const padding = i % 50 === 0 ? 'x'.repeat(200_000) : i % 7 === 0 ? new Date(i) : i;
    return ['record', [{ from: 0, i, padding: typeof padding === 'string' ? padding.length : padding, load: padding }]];
  });
  await workers[0].run('callAll', calls);
  const seen = (await workers[1].call<{ i: number }[]>('recorded')).map(each => each.i);
  expect(seen).toEqual(Array.from({ length: 3000 }, (_, i) => i));
});

test('calls of members that call in turns keep the order of each, whichever way they go', async () => {
  const { primary, workers } = await processes.group(3);
  await Promise.all(workers.map((worker, from) => worker.run('callInRhythm', 3000, from)));
  const seen = await workers[0].call<{ from: number; i: number }[]>('recorded');
  const all = Array.from({ length: 3000 }, (_, i) => i);
  for (const from of workers.keys()) {
    expect(seen.filter(each => each.from === from).map(each => each.i)).toEqual(all);
  }
  if (
    process.platform === 'linux' &&
    process.env.MIDWAY_PROCESS_AGENT_LANE !== 'thread' &&
    availableParallelism() > 1
  ) {
    // Else only one of the ways was tried.
    expect(readFileSync(`/proc/${primary.pid}/maps`, 'utf8')).toContain('/memfd:process-agent');
  }
});

test('a call that a reply causes goes at once, another one with those that the same turn of the loop brings', async () => {
  const { workers } = await processes.group(1);
  // A thread that reads the lanes does not know what causes a call.
  const byTimer = process.env.MIDWAY_PROCESS_AGENT_LANE === 'thread';
  expect(await workers[0].run('goesAtOnce')).toEqual({ byTimer, byReply: true });
});

test('calls wait for a primary that is still starting, and keep their order', async () => {
  const primary = processes.start({ starting: true });
  await primary.started();
  const worker = processes.start();
  await worker.started();
  const calls = worker.run('callAll', [
    ['record', ['a']],
    ['record', [new Date(0)]],
    ['record', ['c']],
  ]);
  await worker.run('role');
  await primary.run('markReady');
  expect(await calls).toEqual([1, 2, 3]);
});

test('a call that waits in vain says who is still starting', async () => {
  const primary = processes.start({ starting: true });
  await primary.started();
  const worker = processes.start({ config: { readyTimeout: 500 } });
  await worker.started();
  await expect(worker.call('pid')).rejects.toMatchObject({
    code: 'ERR_AGENT_NO_PRIMARY',
    outcome: 'not-sent',
    message: expect.stringContaining(`pid ${primary.pid}, has not finished its own start-up`),
  });
});

test('a call whose primary is killed has an unknown outcome, and the next one is answered by the next primary', async () => {
  const { primary, workers } = await processes.group(2);
  const lost = workers[0].call('never').catch(error => error);
  await workers[0].call('pid');
  primary.child.kill('SIGKILL');
  expect(await lost).toMatchObject({ code: 'ERR_AGENT_PRIMARY_LOST', outcome: 'unknown' });
  const [one, two] = await Promise.all(workers.map(each => each.until('a role', told => told.at > 0).then(() => each)));
  const epoch = (await primary.told.find(told => told.type === 'primary'))?.epoch;
  const promoted = await Promise.any(
    [one, two].map(each => each.until('the next tenure', told => told.type === 'primary' && told.epoch > epoch)),
  );
  const follower = workers.find(each => each.pid !== promoted.pid);
  expect(await follower?.call('pid')).toBe(promoted.pid);
});

test('a primary that hands over answers what it has accepted; later calls go to the next one by themselves', async () => {
  const { primary, workers } = await processes.group(2);
  const accepted = workers[0].call('after', 300, 'done');
  await workers[0].call('pid');
  const handedOver = primary.run('handOver');
  const pids = await workers[0].run<number[]>(
    'callAll',
    Array.from({ length: 20 }, () => ['pid', []]),
  );
  expect(await accepted).toBe('done');
  await handedOver;
  const next = workers.map(each => each.pid);
  for (const pid of pids) {
    expect([primary.pid, ...next]).toContain(pid);
  }
  expect(next).toContain(await workers[0].call('pid'));
});

test('a call made on a lane that has ended meanwhile goes to the next primary', async () => {
  const { primary, workers } = await processes.group(1);
  const [worker] = workers;
  await worker.call('pid');
  const call = worker.run('blockThenCall', 500, 'pid', []);
  await worker.until('the blocked event loop', told => told.type === 'blocked');
  primary.child.kill('SIGKILL');
  expect(await call).toBe(worker.pid);
});

test('a call that waits in a process that becomes primary itself runs there', async () => {
  const primary = processes.start({ starting: true });
  await primary.started();
  const worker = processes.start();
  await worker.started();
  const waiting = worker.run('callAll', [
    ['pid', []],
    ['echo', [new Date(5)]],
  ]);
  await worker.run('role');
  primary.child.kill('SIGKILL');
  expect(await waiting).toEqual([worker.pid, new Date(5)]);
});

test('a call that has waited until its own process is primary is known there as any other is', async () => {
  const primary = processes.start({ starting: true });
  await primary.started();
  const worker = processes.start({ invocations: true });
  await worker.started();
  const carrier = { traceparent: '00-1-2-01' };
  const traced = worker.run('call', 'carrier', [], { carrier });
  const left = worker.call('watched').catch(error => error);
  await worker.run('role');
  primary.child.kill('SIGKILL');
  expect(await traced).toEqual(carrier);
  const { epoch } = await worker.run<{ epoch: number }>('role');
  expect(await worker.until('the call', told => told.type === 'running')).toMatchObject({ caller: worker.pid, epoch });
  await worker.run('close');
  expect(await left).toMatchObject({ code: 'ERR_AGENT_CLOSED', outcome: 'unknown' });
  expect(await worker.until('its end', told => told.type === 'aborted')).toMatchObject({ reason: 'ERR_AGENT_ABORTED' });
});

test('a timeout ends a call, and a reply that comes later disturbs nobody', async () => {
  const { workers } = await processes.group(1);
  const [worker] = workers;
  await expect(worker.run('call', 'after', [200, 'late'], { timeout: 50 })).rejects.toMatchObject({
    code: 'ERR_AGENT_TIMEOUT',
    outcome: 'unknown',
  });
  expect(await worker.call('after', 300, 'in time')).toBe('in time');
});

test('more calls than maxPending are refused, and the others go on', async () => {
  const { primary } = await processes.group(0);
  const worker = processes.start({ config: { maxPending: 10 } });
  await worker.started();
  const pending = Array.from({ length: 10 }, () => worker.call('after', 300, 'ok'));
  await expect(worker.call('pid')).rejects.toMatchObject({ code: 'ERR_AGENT_TOO_MANY_PENDING', outcome: 'not-sent' });
  expect(await Promise.all(pending)).toEqual(Array(10).fill('ok'));
  expect(await worker.call('pid')).toBe(primary.pid);
});

test('a timed-out call takes no place of maxPending', async () => {
  await processes.group(0);
  const worker = processes.start({ config: { maxPending: 3 } });
  await worker.started();
  for (let i = 0; i < 4; i++) {
    await expect(worker.run('call', 'never', [], { timeout: 30 })).rejects.toMatchObject({ code: 'ERR_AGENT_TIMEOUT' });
  }
  expect(await worker.call('echo', 1)).toBe(1);
});

test('a flood of calls leaves the primary time for its own timers', async () => {
  const { primary, workers } = await processes.group(2);
  for (const worker of workers) {
    await worker.run('flood', 1000, 'spin', [0.05]);
  }
  // A turn works for 2 ms; unbounded turns lasted for seconds.
  expect(await primary.run<number>('lag', 2000)).toBeLessThan(200);
});

test('many large calls with large results do not wait for each other', async () => {
  const { workers } = await processes.group(1);
  // 100 MB there and 100 MB back: more than both ends, and the sockets between them, hold.
  expect(await workers[0].run('echoMany', 1000, 100_000)).toBe(1000);
});

test('a batch of long texts in a small frame limit arrives', async () => {
  const { workers } = await processes.group(1, { config: { maxPayload: 16_384 } });
  const calls = Array.from({ length: 2000 }, (_, i) => ['echo', [`${i} ${'漢'.repeat(1000)}`]]);
  const back = await workers[0].run<string[]>('callAll', calls);
  expect(back.map(text => Number.parseInt(text, 10))).toEqual(Array.from({ length: 2000 }, (_, i) => i));
});

test('a process that stops has its own calls answered first', async () => {
  const { workers } = await processes.group(1);
  const [worker] = workers;
  const pending = worker.call('after', 400, 'answered');
  await worker.call('pid');
  await worker.run('stop');
  expect(await pending).toBe('answered');
});

test('closing settles every call', async () => {
  const { workers } = await processes.group(1);
  const pending = workers[0].call('never').catch(error => error);
  await workers[0].call('pid');
  await workers[0].run('close');
  expect(await pending).toMatchObject({ code: 'ERR_AGENT_CLOSED', outcome: 'unknown' });
  await expect(workers[0].call('pid')).rejects.toMatchObject({ code: 'ERR_AGENT_CLOSED', outcome: 'not-sent' });
});

test('members lists everybody, the primary first', async () => {
  const { primary, workers } = await processes.group(2);
  await workers[1].call('pid');
  const members = await workers[0].run<{ pid: number; role: string; state: string }[]>('members');
  expect(members.map(each => each.pid).sort()).toEqual([primary, ...workers].map(each => each.pid).sort());
  expect(members[0]).toMatchObject({ pid: primary.pid, role: 'primary', state: 'ready', deployment: 'configured' });
});

test('calls are read by the event loop, and by a thread where that is asked for', async () => {
  const { primary, workers } = await processes.group(1);
  const chosen = process.env.MIDWAY_PROCESS_AGENT_LANE === 'thread';
  const expected =
    chosen || process.platform === 'win32' ? /^A thread reads the calls/ : /^The event loop reads the calls/;
  for (const member of [primary, ...workers]) {
    const { reasons } = await member.run<{ reasons: string[] }>('explain');
    expect(reasons.at(-1)).toMatch(expected);
  }
});
