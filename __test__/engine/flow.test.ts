import { type Process, Processes } from './members';

const MB = 1024 * 1024;

let processes: Processes;
beforeEach(() => {
  processes = new Processes();
});
afterEach(() => processes.end());

/** What is logged of members that are taken for dead. */
const blames = (all: Process[]) =>
  all.flatMap(({ told }) =>
    told.filter(({ type, text }) => type === 'log' && /frozen|turned out|killed/.test(text)).map(({ text }) => text),
  );
const left = (all: Process[]) => all.filter(({ child }) => child.exitCode !== null || child.signalCode !== null);

test('what 24 members send at once takes no more of the primary than its limit, and what its JavaScript reads', async () => {
  const size = 16 * MB;
  const config = { maxPayload: 24 * MB, maxPendingBytes: 24 * MB };
  const { primary, workers } = await processes.group(24, { config });
  const before = await primary.run<number>('peak');
  const sizes = await Promise.all(workers.map(worker => worker.run<number[]>('callLarge', size)));
  expect(sizes).toEqual(Array(24).fill([size]));
  const peak = (await primary.run<number>('peak')) - before;
  // One at a time: in receipt, and as bytes and values that wait for the garbage collector. All of them are 384 MB.
  expect(peak / MB).toBeLessThan(8 * 16);
  expect(blames([primary, ...workers])).toEqual([]);
});

test.each([
  { members: 8, size: 30 * MB, times: 1 },
  { members: 6, size: 10 * MB, times: 6 },
])(
  '$members members that gather $size bytes, each $times at once, all live and have their answers',
  async case_ => {
    const { members, size, times } = case_;
    const { primary, workers } = await processes.group(members, {
      config: { maxPayload: 64 * MB, maxPendingBytes: 64 * MB, primary: { maxBlocked: 30_000, onFrozen: 'kill' } },
    });
    const [outcomes, small] = await Promise.all([
      Promise.all(workers.map(worker => worker.run<unknown[]>('gatherLarge', size, times, 100_000))),
      primary.run('members'),
    ]);
    expect(small).toHaveLength(members + 1);
    const expected = Array(times * (members + 1)).fill(size);
    expect(outcomes).toEqual(workers.map(() => expected));
    expect(blames([primary, ...workers]).filter(text => text.includes('turned out'))).toEqual([]);
    expect(left([primary, ...workers])).toEqual([]);
  },
  120_000,
);

test('a member of the release before sends and gets what is large, beside one of this', async () => {
  const config = { maxPayload: 24 * MB, maxPendingBytes: 24 * MB };
  const { primary, workers } = await processes.group(1, { config });
  const old = processes.start({ config, protocols: [3, 3] });
  await old.started();
  for (const worker of [old, ...workers]) {
    expect(await worker.run('callLarge', 5 * MB, 4)).toEqual(Array(4).fill(5 * MB));
    expect(await worker.run('gatherLarge', 5 * MB, 4, 60_000)).toEqual(Array(12).fill(5 * MB));
  }
  expect(blames([primary, old, ...workers])).toEqual([]);
});
