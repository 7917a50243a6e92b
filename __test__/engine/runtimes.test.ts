/** The engine in runtimes that have a Node-API and not Node's libuv. */
import { inEachRuntime } from '../support/runtimes';
import { within } from '../support/until';
import { type Process, Processes } from './members';

let processes: Processes;
beforeEach(() => {
  processes = new Processes();
});
afterEach(() => processes.end());

inEachRuntime('in %s', (name, runtime) => {
  it('two processes have one primary, which answers the other one and takes part in what all are asked', async () => {
    const { primary, workers } = await processes.group(1, { runtime });
    const [worker] = workers;
    expect((await primary.started()).role).toBe('primary');
    expect((await worker.started()).role).toBe('worker');

    for (let i = 0; i < 200; i++) {
      expect(await worker.call('pid')).toBe(primary.pid);
    }
    expect(await worker.run('echoMany', 200, 1000)).toBe(200);
    expect(await worker.run('echoes', 'text', 1_000_000)).toBe(true);
    expect(await worker.run('echoes', 'bytes', 1_000_000)).toBe(true);
    expect(await worker.run('echoesLater', 5)).toBe(true);
    await expect(worker.call('throwError', 'no')).rejects.toMatchObject({
      isTypeError: true,
      code: 'E_TEST',
      status: 418,
    });
    expect(await worker.run('read', 'count', [5])).toMatchObject({ items: [0, 1, 2, 3, 4], end: 'done' });
    const outcomes = await worker.run<{ status: string; value: number }[]>('gather', 'pid', [], 10_000);
    expect(outcomes.map(({ value }) => value).sort()).toEqual([primary.pid, worker.pid].sort());
    const { reasons } = await worker.run<{ reasons: string[] }>('explain');
    expect(reasons).toContain(
      `A thread reads the calls of other processes: ${name} does not let the event loop do it.`,
    );
  });

  it('the worker is primary, and is called, when the primary is killed', async () => {
    const { primary, workers } = await processes.group(2, { runtime });
    primary.child.kill('SIGKILL');
    const next = await Promise.any(
      workers.map(async each => {
        await each.until('its election', told => told.type === 'primary');
        return each;
      }),
    );
    const other = workers.find(each => each !== next) as Process;
    other.child.send({ id: -1, command: 'watch', args: [] });
    await other.until('an answer of the next primary', told => told.type === 'answer' && told.primary === next.pid);
  });

  it('a primary whose event loop hangs is seen to be stuck', async () => {
    const { primary, workers } = await processes.group(1, { runtime, config: { health: { maxLag: 500 } } });
    const blocked = primary.run('block', 5000);
    await primary.until('that it hangs', told => told.type === 'blocked');
    const stuck = async (): Promise<void> => {
      const standings = await workers[0].run<{ pid: number; state: string }[]>('standings');
      const { state } = standings.find(({ pid }) => pid === primary.pid) ?? {};
      return state === 'stuck' ? undefined : stuck();
    };
    await within(stuck(), { what: 'a report that the primary is stuck', timeout: 4000 });
    await blocked;
  });

  it('a process that has nothing else to do ends, and one that has left', async () => {
    const idle = processes.start({ runtime });
    await idle.started();
    idle.child.send({ id: -1, command: 'endNaturally', args: [0] });
    expect(await within(idle.exited, { what: 'the idle process to end', timeout: 10_000 })).toEqual([0, null]);

    const leaves = processes.start({ runtime });
    await leaves.started();
    await leaves.run('close');
    leaves.child.send({ id: -1, command: 'endNaturally', args: [0] });
    expect(await within(leaves.exited, { what: 'the other one to end', timeout: 10_000 })).toEqual([0, null]);
  });
});
