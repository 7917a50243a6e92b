import * as fs from 'node:fs';
import { type MemberOptions, now, type Process, Processes } from './members';

let processes: Processes;
beforeEach(() => {
  processes = new Processes();
});
afterEach(() => processes.end());

type State = 'starting' | 'ok' | 'stuck' | 'frozen' | 'leaving' | 'dead';
interface Seen {
  pid: number;
  state: State;
  since: number;
  lagMs: number;
}

const standings = (asked: Process) => asked.run<Seen[]>('standings');
const stateOf = async (asked: Process, of: Process) =>
  (await standings(asked)).find(each => each.pid === of.pid)?.state;

/** Asks until `of` does as expected; the time (monotonic, ms) of the first answer that says so. */
async function untilState(asked: Process, of: Process, state: State | undefined, timeout = 15_000): Promise<number> {
  const deadline = now() + timeout;
  for (;;) {
    const found = await stateOf(asked, of);
    if (found === state) {
      return now();
    }
    if (now() > deadline) {
      throw new Error(
        `pid ${of.pid} is ${found}, not ${state}; primary and others: ${JSON.stringify(await standings(asked))}`,
      );
    }
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

/** A primary and some workers, all of which are known to have finished their start. */
async function wellGroup(workers: number, options?: MemberOptions): ReturnType<Processes['group']> {
  const started = await processes.group(workers, options);
  for (const each of [started.primary, ...started.workers]) {
    await untilState(started.primary, each, 'ok');
  }
  return started;
}

/** Blocks a process's event loop for `ms`: when it began, and its end. */
async function block(process: Process, ms: number): Promise<{ at: number; ended: Promise<unknown> }> {
  process.told.length = 0;
  const ended = process.run('block', ms);
  const { at } = await process.until('the block', told => told.type === 'blocked');
  return { at, ended };
}

test('a stuck worker and a stuck primary are reported within 100 ms after maxLag, and are well when they go on', async () => {
  const { primary, workers } = await wellGroup(3);
  let soonest = Number.POSITIVE_INFINITY;
  for (const [stuck, asked] of [
    [workers[2], workers[0]],
    [workers[1], primary],
    [primary, workers[0]],
  ]) {
    const { at, ended } = await block(stuck, 1500);
    const after = (await untilState(asked, stuck, 'stuck')) - at;
    console.log(`maxLag 1000: reported ${after.toFixed(0)} ms after the event loop was blocked`);
    expect(after).toBeGreaterThanOrEqual(1000);
    // A busy machine may give the watcher its time late, but not each time.
    expect(after).toBeLessThanOrEqual(1300);
    soonest = Math.min(soonest, after);
    const seen = (await standings(asked)).find(each => each.pid === stuck.pid) as Seen;
    expect(seen.lagMs).toBeGreaterThanOrEqual(900);
    await ended;
    expect((await untilState(asked, stuck, 'ok')) - at).toBeLessThan(1800);
  }
  expect(soonest).toBeLessThanOrEqual(1100);
}, 60_000);

test(
  'heavy load that lets the event loop turn is no reason for an alarm',
  async () => {
    const seconds = Number(process.env.HEALTH_SOAK_MINUTES ?? 0) * 60 || 10;
    const { primary, workers } = await wellGroup(3);
    // Every core has more to do than it can, and each turn takes most of what is allowed.
    const busy = [primary, ...workers.slice(0, 2)];
    const until = now() + seconds * 1000;
    const working = busy.map(async each => {
      let longest = 0;
      while (now() < until) {
        longest = Math.max(longest, await each.run<number>('work', 500, Math.min(10_000, until - now())));
      }
      return longest;
    });
    const alarms = new Map<number, Seen>();
    let asked = 0;
    while (now() < until) {
      for (const seen of await standings(workers[2])) {
        if (seen.state !== 'ok') {
          alarms.set(seen.pid, seen);
        }
      }
      asked++;
      await new Promise(resolve => setTimeout(resolve, 50));
    }
    const worst = await Promise.all(working);
    console.log(`longest turns ${worst.map(Math.round)} ms; asked ${asked} times, ${alarms.size} alarms`);
    expect(asked).toBeGreaterThan(seconds);
    // A machine that gives a process no time for so long makes true alarms.
    const calm = [...busy, workers[2]].filter((_, i) => !(worst[i] >= 990));
    expect(calm.flatMap(each => alarms.get(each.pid) ?? [])).toEqual([]);
    expect(calm.length).toBeGreaterThan(1);
  },
  30_000 + Number(process.env.HEALTH_SOAK_MINUTES ?? 0) * 60_000,
);

/** How often the native thread of a process has gone to sleep. */
function sleepsOf({ child }: Process): number {
  const tasks = `/proc/${child.pid}/task`;
  const agent = fs
    .readdirSync(tasks)
    .find(task => fs.readFileSync(`${tasks}/${task}/comm`, 'utf8').startsWith('process-agent'));
  return Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(fs.readFileSync(`${tasks}/${agent}/status`, 'utf8'))?.[1]);
}

// With a thread that reads the lanes nothing notes the loop's turns, and it is looked at 20 times a second.
const notesTurns = process.platform === 'linux' && process.env.MIDWAY_PROCESS_AGENT_LANE !== 'thread';
(notesTurns ? test : test.skip)('an idle process hardly wakes to see that it is well', async () => {
  const { primary, workers } = await wellGroup(2);
  const seconds = 4;
  const idle = [primary, ...workers];
  const before = idle.map(sleepsOf);
  await new Promise(resolve => setTimeout(resolve, seconds * 1000));
  const perSecond = idle.map((each, i) => (sleepsOf(each) - before[i]) / seconds);
  for (const each of perSecond) {
    expect(each).toBeLessThan(25);
  }
});

test('a frozen worker is reported, and is well when it goes on', async () => {
  const { primary, workers } = await wellGroup(2);
  await workers[1].freeze();
  const frozen = now();
  await untilState(workers[0], workers[1], 'frozen');
  expect(now() - frozen).toBeLessThan(2000);
  expect(await stateOf(primary, workers[1])).toBe('frozen');
  workers[1].child.kill('SIGCONT');
  await untilState(workers[0], workers[1], 'ok');
});

test('while the primary is frozen, each worker says so and what it knows of the others', async () => {
  const { primary, workers } = await wellGroup(2);
  await primary.freeze();
  const frozen = now();
  for (const each of workers) {
    await untilState(each, primary, 'frozen');
    expect(now() - frozen).toBeLessThan(2500);
    expect(new Set((await standings(each)).map(({ pid, state }) => `${pid} ${state}`))).toEqual(
      new Set([`${primary.pid} frozen`, ...workers.map(({ pid }) => `${pid} ok`)]),
    );
  }
  primary.child.kill('SIGCONT');
  await untilState(workers[0], primary, 'ok');
});

test('a member that was killed is dead until another one has joined', async () => {
  const { workers } = await wellGroup(3);
  workers[2].child.kill('SIGKILL');
  const killed = now();
  await untilState(workers[0], workers[2], 'dead');
  expect(now() - killed).toBeLessThan(1000);
  expect(await standings(workers[0])).toHaveLength(4);
  const next = processes.start();
  await next.started();
  await untilState(workers[0], workers[2], undefined);
  expect((await standings(workers[0])).map(each => each.state)).toEqual(['ok', 'ok', 'ok', 'ok']);
});

test('a member that was killed is forgotten after forgetDead', async () => {
  const { workers } = await wellGroup(2, { config: { health: { forgetDead: 1500 } } });
  workers[1].child.kill('SIGKILL');
  const died = await untilState(workers[0], workers[1], 'dead');
  expect((await untilState(workers[0], workers[1], undefined)) - died).toBeGreaterThan(1000);
});

test('a primary that was killed is dead for the next one, and so is who died with it or before', async () => {
  const { primary, workers } = await wellGroup(4);
  const [first, second, ...left] = workers;
  first.child.kill('SIGKILL');
  await untilState(left[0], first, 'dead');
  primary.child.kill('SIGKILL');
  second.child.kill('SIGKILL');
  for (const each of left) {
    for (const dead of [primary, first, second]) {
      await untilState(each, dead, 'dead');
    }
    expect(await standings(each)).toHaveLength(5);
  }
  for (let i = 0; i < 3; i++) {
    await processes.start().started();
  }
  expect((await standings(left[0])).map(each => each.state)).toEqual(Array(5).fill('ok'));
});

test.each([
  ['exits with 0', 'exit', 0, undefined],
  ['ends by itself', 'endNaturally', undefined, undefined],
  ['leaves and closes', 'stop', undefined, undefined],
  ['exits in the turn in which it begins to leave', 'leaveAndExit', 3, undefined],
  ['exits with 1', 'exit', 1, 'dead'],
  ['ends by itself with 1', 'endNaturally', 1, 'dead'],
  ['fails with an uncaught error', 'throwUncaught', undefined, 'dead'],
] as const)('a worker, and a primary, that %s is afterwards: %s', async (_how, command, code, expected) => {
  const { primary, workers } = await wellGroup(3);
  for (const goes of [workers[0], primary]) {
    const gone = goes.run(command, code).catch(() => {});
    if (command === 'stop') {
      await gone;
      goes.child.kill('SIGKILL');
    }
    await goes.exited;
    // Somebody leads, and has heard of it.
    await untilState(workers[2], workers[1], 'ok');
    await untilState(workers[2], workers[2], 'ok');
    await untilState(workers[2], goes, expected);
  }
});

test('a group that starts again as a whole remembers nobody', async () => {
  const { primary, workers } = await wellGroup(2);
  for (const each of [primary, ...workers]) {
    each.child.kill('SIGKILL');
  }
  await Promise.all([primary, ...workers].map(each => each.exited));
  const again = await wellGroup(1);
  expect((await standings(again.workers[0])).map(each => each.state)).toEqual(['ok', 'ok']);
});

test('a process says for how long it has had no primary', async () => {
  const alone = processes.start({ config: { candidate: false } });
  await alone.until('its attempt', told => told.type === 'trying');
  const first = await alone.run<number>('leaderlessFor');
  await new Promise(resolve => setTimeout(resolve, 300));
  expect((await alone.run<number>('leaderlessFor')) - first).toBeGreaterThan(250);
  await expect(alone.run('standings', 100)).rejects.toMatchObject({ code: 'ERR_AGENT_NO_PRIMARY' });
  await processes.start().started();
  await alone.started();
  expect(await alone.run('leaderlessFor')).toBe(0);
});

test('an idle member costs little', async () => {
  const { primary, workers } = await wellGroup(3);
  await new Promise(resolve => setTimeout(resolve, 500));
  const seconds = 4;
  const used = await Promise.all([primary, workers[0]].map(each => each.run<number>('cpu', seconds * 1000)));
  const [ofPrimary, ofWorker] = used.map(micros => micros / 1000 / seconds);
  console.log(`CPU per second: primary ${ofPrimary.toFixed(2)} ms, worker ${ofWorker.toFixed(2)} ms`);
  expect(ofWorker).toBeLessThan(10);
});
