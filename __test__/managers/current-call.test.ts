import { randomUUID } from 'node:crypto';
import type { WhoAmI } from '../support/application';
import type { Deployed } from '../support/deployments';
import { killAll } from '../support/processes';
import { until } from '../support/until';
import { killPm2, startBy, type Way } from '../support/ways';

interface Seen {
  sight: { caller: number; aborted?: string } | null;
}
interface Thrown {
  pid: number;
  thrown: { name: string; code: string; outcome: string };
}

describe.each<Way>(['ClusterManager of Midway 3', 'ClusterManager of Midway 4', 'pm2 in cluster mode'])(
  'the call that the primary runs, under %s',
  way => {
    let current: Deployed;
    let primary: WhoAmI;
    let workers: WhoAmI[];
    let id: string;
    beforeAll(async () => {
      current = await startBy(way);
      ({ primary, workers } = await current.application.roles());
    });
    beforeEach(() => {
      id = randomUUID();
    });
    afterAll(async () => {
      await killAll();
      await killPm2();
    });

    /** What the primary knows of the call, as soon as it is what we wait for. */
    const sightOf = (is: (sight: NonNullable<Seen['sight']>) => boolean) =>
      until(
        async () => {
          // node:cluster may hand a connection to the very process that has just died: nobody answers that one.
          const bound = { timeout: 1_000 };
          const { sight } = await current.application.getFrom<Seen>(primary.pid, `/watched/sight?id=${id}`, bound);
          return sight && is(sight) ? sight : undefined;
        },
        { what: 'the primary to see it', timeout: 10_000, every: 10 },
      );

    it("knows its caller, and is told when the caller's timeout has ended it", async () => {
      const [worker] = workers;
      const { pid, thrown } = await current.application.getFrom<Thrown>(worker.pid, `/watched/timeout?id=${id}`);
      expect(pid).toBe(worker.pid);
      expect(thrown).toMatchObject({ name: 'ProcessAgentError', code: 'ERR_AGENT_TIMEOUT', outcome: 'unknown' });
      expect(await sightOf(sight => sight.aborted !== undefined)).toEqual({
        caller: worker.pid,
        aborted: expect.any(String),
      });
    });

    it.each(['worker', 'primary'] as const)('is told when the client of a %s has gone away', async role => {
      const caller = role === 'worker' ? workers[1] : primary;
      const leave = new AbortController();
      const request = current.application.requestTo(caller.pid, `/watched/client?id=${id}`, { signal: leave.signal });
      expect(await sightOf(() => true)).toEqual({ caller: caller.pid });
      leave.abort();
      await expect(request).rejects.toMatchObject({ name: 'AbortError' });
      expect(await sightOf(sight => sight.aborted !== undefined)).toMatchObject({ caller: caller.pid });
    });

    // The last one: it costs a process.
    it('is told when its caller has died', async () => {
      const [worker] = workers;
      const request = current.application.requestTo(worker.pid, `/watched/forever?id=${id}`);
      const failed = expect(request).rejects.toThrow();
      expect(await sightOf(() => true)).toEqual({ caller: worker.pid });
      process.kill(worker.pid, 'SIGKILL');
      await failed;
      expect(await sightOf(sight => sight.aborted !== undefined)).toMatchObject({ caller: worker.pid });
    });
  },
);
