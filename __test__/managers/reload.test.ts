/** A ledger that primaries keep in memory, one after the other, while processes are replaced under constant requests. */
import type { Application, WhoAmI } from '../support/application';
import { clusterManager, plainNode } from '../support/deployments';
import { get } from '../support/http';
import { LedgerLoad, type Told } from '../support/load';
import { Pm2 } from '../support/pm2';
import { isAlive, killAll, start } from '../support/processes';
import { projectFolder } from '../support/project';
import { onePrimary } from '../support/promises';
import { until } from '../support/until';

/** Requests at once, each of which takes up to so many ms in the primary. */
const AT_ONCE = 12;
const MS = 100;

afterEach(killAll);

test('pm2 reload, twice: the ledger has each entry that was answered, once, and no other', async () => {
  const pm2 = new Pm2();
  try {
    const { application } = await pm2.start({ name: 'reload', mode: 'cluster', instances: 3 });
    const load = new LedgerLoad(() => application.ports, AT_ONCE, MS);
    for (let round = 0; round < 2; round++) {
      const before = await pids(application);
      await entries(load, 50);
      await pm2.run('reload', 'reload');
      await until(() => [...before].every(pid => !isAlive(pid)), { what: 'the old processes to end' });
      expect(before.has((await onePrimary(application, 3)).pid)).toBe(false);
    }
    await entries(load, 50);
    await expectWhatWasAnswered(application, await load.stop());
  } finally {
    await pm2.kill();
  }
});

test.each(['v3', 'v4'] as const)("ClusterManager's workers, stopped one by one, Midway %s: the same", async project => {
  const { application } = await clusterManager({ project, workers: 3 });
  const load = new LedgerLoad(() => application.ports, AT_ONCE, MS);
  // The primary first: each that takes over is stopped in its turn.
  for (let round = 0; round < 3; round++) {
    await entries(load, 50);
    const { pid } = await onePrimary(application, 3);
    process.kill(pid, 'SIGTERM');
    await until(() => !isAlive(pid), { what: `the primary ${pid} to end`, every: 10 });
    expect((await onePrimary(application, 3)).pid).not.toBe(pid);
  }
  await entries(load, 50);
  await expectWhatWasAnswered(application, await load.stop());
});

test('plain processes behind a load balancer, replaced one by one: the same, and no request fails', async () => {
  const group = `reload-${process.pid}-${Date.now()}`;
  const { application, processes } = await plainNode({ group });
  const before = await pids(application);
  // A process that is about to be stopped gets no new requests.
  let serving = application.ports;
  const load = new LedgerLoad(() => serving, AT_ONCE, MS);
  for (const [i, port] of application.ports.entries()) {
    await entries(load, 50);
    serving = application.ports.filter(each => each !== port);
    // It is stopped with requests under way.
    expect(load.underWayAt(port)).toBeGreaterThan(0);
    processes[i].child.kill('SIGTERM');
    expect(await processes[i].exited).toEqual({ code: 0, signal: null });
    start(['bootstrap.js'], {
      cwd: projectFolder('v4'),
      env: { MIDWAY_PROCESS_AGENT_GROUP: group, PORT: String(port) },
    });
    await until(() => get<WhoAmI>(port, '/whoami'), { what: 'its successor to answer', every: 20 });
    serving = application.ports;
  }
  await entries(load, 50);
  const told = await load.stop();
  expect(told.failures).toEqual([]);
  expect(before.has((await onePrimary(application, 3)).pid)).toBe(false);
  await expectWhatWasAnswered(application, told);
});

async function pids(application: Application): Promise<Set<number>> {
  return new Set((await application.fromEach('/whoami')).map(each => each.pid));
}

/** Waits until so many more entries are made. */
function entries(load: LedgerLoad, count: number) {
  const enough = load.made + count;
  return until(() => load.made >= enough, { what: `${count} entries`, timeout: 20_000, every: 10 });
}

async function expectWhatWasAnswered(application: Application, told: Told): Promise<void> {
  const { entries } = await application.get<{ entries: [string, number][] }>('/ledger/all');
  expect(entries.filter(([, times]) => times !== 1)).toEqual([]);
  expect(entries.map(([id]) => id).sort()).toEqual([...told.made].sort());
  // Midway does not wait for its HTTP server: a connection that was accepted and not read yet is cut, and an
  // application that is half stopped answers 500. No entry was made for either.
  const notMidways = told.failures.filter(({ error }) => !/socket hang up|ECONNRESET|answered 500/.test(error));
  expect(notMidways).toEqual([]);
  expect(told.failures.length).toBeLessThan(told.made.length / 50);
  console.info(`${told.made.length} entries, each kept once; ${told.failures.length} requests cut`, told.failures);
}
