import { type Process, Processes } from './members';

let processes: Processes;
let primary: Process;
let worker: Process;
beforeEach(async () => {
  processes = new Processes();
  const group = await processes.group(1);
  primary = group.primary;
  [worker] = group.workers;
});
afterEach(() => processes.end());

interface Read {
  items: unknown[];
  end?: unknown;
  done?: boolean;
  error?: { name: string; code?: string; outcome?: string };
  after?: IteratorResult<unknown>;
}
const read = (...args: unknown[]) => worker.run<Read>('read', ...args);
const generatorEnded = () => primary.until('the end of the generator', told => told.type === 'generator ended');

test('a stream brings its items in order, what its generator returns, and then nothing', async () => {
  expect(await read('count', [1000])).toEqual({
    items: Array.from({ length: 1000 }, (_, i) => i),
    end: 'done',
    after: { value: undefined, done: true },
  });
});

test('items are of every kind of value', async () => {
  const { items } = await read('mixed', []);
  expect(items).toEqual([undefined, null, new Date(5), new Map([[1, 2]]), Buffer.from('b')]);
});

test('an error in the middle comes after the items before it', async () => {
  expect(await read('count', [100, { failAt: 40 }])).toMatchObject({
    items: Array.from({ length: 40 }, (_, i) => i),
    error: { name: 'RangeError', code: 'E_MIDDLE' },
  });
});

test('an item that can not be sent ends the stream with its path', async () => {
  expect(await read('unsendable', [])).toMatchObject({
    items: [1],
    error: { code: 'ERR_AGENT_NOT_SERIALIZABLE', outcome: 'executed' },
  });
});

test('a timeout bounds the opening of a stream, and no item, the first one neither', async () => {
  const inTime = { timeout: 1000 };
  const reads = [
    read('count', [1, { every: 1300 }], Number.POSITIVE_INFINITY, 0, inTime),
    read('opensLate', [1300], Number.POSITIVE_INFINITY, 0, inTime),
  ];
  expect(await Promise.all(reads)).toMatchObject([
    { items: [0], end: 'done' },
    { items: [], error: { code: 'ERR_AGENT_TIMEOUT', outcome: 'unknown' } },
  ]);
});

test('who leaves early ends the generator in the primary, which runs its finally', async () => {
  expect(await read('count', [1_000_000], 3)).toEqual({
    items: [0, 1, 2],
    end: 'left',
    done: true,
    after: { value: undefined, done: true },
  });
  expect((await generatorEnded()).i).toBeLessThan(50);
});

test('a slow reader holds the generator back', async () => {
  const reading = read('count', [1000], 10, 20);
  await reading;
  expect((await generatorEnded()).i).toBeLessThan(10 + 16 + 2);
});

test('large items are held back by their size', async () => {
  await read('count', [1000, { size: 100_000 }], 2, 50);
  expect((await generatorEnded()).i).toBeLessThan(12);
});

test('so are items that are sent one by one, because each is more than a batch', async () => {
  await read('count', [1000, { size: 600_000 }], 2, 50);
  expect((await generatorEnded()).i).toBeLessThan(5);
});

test('a stream whose primary dies fails after the items that have come', async () => {
  const reading = read('count', [1000, { every: 5 }]);
  await worker.call('after', 100);
  primary.child.kill('SIGKILL');
  const { items, error } = await reading;
  expect(error).toMatchObject({ code: 'ERR_AGENT_PRIMARY_LOST', outcome: 'unknown' });
  expect(items).toEqual(items.map((_, i) => i));
});

test('a stream whose reader dies ends its generator', async () => {
  read('count', [1_000_000, { every: 5 }]).catch(() => {});
  await worker.call('pid');
  worker.child.kill('SIGKILL');
  await generatorEnded();
});

test('a stream that nobody holds any more ends its generator', async () => {
  await worker.run('dropStream', 'count', [1_000_000]);
  const ended = generatorEnded();
  for (let i = 0; i < 20; i++) {
    await worker.run('collectGarbage');
    await worker.call('after', 20);
  }
  await ended;
});

test('many streams and calls at once do not disturb each other', async () => {
  const reads = Array.from({ length: 30 }, (_, i) => read('count', [50 + i]));
  expect(await worker.call('echo', 'between')).toBe('between');
  expect((await Promise.all(reads)).map(({ items }) => items.length)).toEqual(
    Array.from({ length: 30 }, (_, i) => 50 + i),
  );
});

test('a stream that was accepted is read to its end while the primary hands over', async () => {
  const reading = read('count', [50, { every: 5 }]);
  await worker.call('pid');
  await primary.run('handOver');
  expect(await reading).toMatchObject({ end: 'done' });
});

test('a stream that is longer than the window goes on while the primary hands over, and may be left then', async () => {
  const reading = read('count', [100, { every: 5 }]);
  const left = read('count', [1_000_000, { every: 5 }], 60);
  await worker.call('pid');
  const handedOver = primary.run('handOver');
  await primary.until('the beginning', told => told.type === 'hands over');
  // Refused by the primary: calls flow to it no more.
  const refused = worker.call('pid');
  expect(await reading).toMatchObject({ end: 'done' });
  expect(await left).toMatchObject({ end: 'left', done: true });
  await handedOver;
  expect(await refused).toBe(worker.pid);
});

test('a stream is read on while new calls wait for the next primary', async () => {
  await processes.end();
  processes = new Processes();
  const group = await processes.group(1, { config: { stopTimeout: 10_000 } });
  const [reader] = group.workers;
  const reading = reader.run<Read>('read', 'count', [100, { every: 10 }]);
  await reader.call('pid');
  const over = group.primary.run('handOver');
  await group.primary.until('the beginning', told => told.type === 'hands over');
  const waiting = reader.call('pid');
  expect(await reading).toMatchObject({ end: 'done' });
  await over;
  expect(await waiting).toBe(reader.pid);
});

test('who leaves a stream whose next item is long in coming does not wait for it', async () => {
  expect(await read('quiet', [], 1)).toMatchObject({ items: [1], end: 'left' });
  expect(await worker.call('pid')).toBe(primary.pid);
});

test('a stream that a freeze has ended for its reader ends in the primary when that goes on', async () => {
  await processes.end();
  processes = new Processes();
  const group = await processes.group(1, { config: { primary: { maxBlocked: 300 } } });
  // It reads one large item a second: the primary has sent all that it may.
  const many = [1_000_000, { size: 100_000 }];
  const reading = group.workers[0].run<Read>('read', 'count', many, Number.POSITIVE_INFINITY, 1000);
  await group.workers[0].call('after', 100);
  await group.primary.freeze();
  expect((await reading).error).toMatchObject({ code: 'ERR_AGENT_PRIMARY_FROZEN', outcome: 'unknown' });
  group.primary.child.kill('SIGCONT');
  await group.primary.until('the end of the generator', told => told.type === 'generator ended');
});

test('a process with an open stream stays alive, and ends when it has ended', async () => {
  expect(await read('count', [5, { every: 20 }])).toMatchObject({ end: 'done' });
  await worker.run('close');
});
