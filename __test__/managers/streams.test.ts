import { randomUUID } from 'node:crypto';
import type { WhoAmI } from '../support/application';
import type { Deployed } from '../support/deployments';
import { killAll } from '../support/processes';
import { until } from '../support/until';
import { startBy, type Way } from '../support/ways';

interface Rows {
  pid: number;
  rows: number[];
  pids: number[];
  dates: boolean;
  thrown?: object;
}
interface Reading {
  reading: { read: number; ended: boolean };
}

describe.each<Way>(['ClusterManager of Midway 3', 'node:cluster, the application in its primary, too'])(
  'an async generator method under @RunInPrimary(), looped over in a controller, under %s',
  way => {
    let current: Deployed;
    let primary: WhoAmI;
    let worker: number;
    let id: string;
    beforeAll(async () => {
      current = await startBy(way, {}, { workers: 2 });
      const roles = await current.application.roles();
      primary = roles.primary;
      worker = roles.workers[0].pid;
    });
    beforeEach(() => {
      id = randomUUID();
    });
    afterAll(killAll);

    const get = (path: string) => current.application.getFrom<Rows>(worker, path);
    const ended = () =>
      until(
        async () => {
          const { reading } = await current.application.getFrom<Reading>(primary.pid, `/rows/reading?id=${id}`);
          return reading.ended ? reading : undefined;
        },
        { what: 'the generator to end in the primary', timeout: 10_000, every: 10 },
      );

    it('gives all that the primary yields, as it was yielded, in order', async () => {
      const { pid, rows, pids, dates } = await get(`/rows/first?id=${id}&take=0&of=300`);
      expect({ pid, pids, dates }).toEqual({ pid: worker, pids: [primary.pid], dates: true });
      expect(rows).toEqual(Array.from({ length: 300 }, (_, i) => i));
      expect(await ended()).toEqual({ read: 300, ended: true });
    });

    it('ends in the primary when the loop is left, which does not read to the end', async () => {
      const { rows } = await get(`/rows/first?id=${id}&take=5&of=1000000`);
      expect(rows).toEqual([0, 1, 2, 3, 4]);
      expect((await ended()).read).toBeLessThan(10_000);
    });

    it('throws in the loop what it throws in the middle, after all that came before', async () => {
      const { rows, thrown } = await get(`/rows/failing?id=${id}&at=7`);
      expect(rows).toEqual([0, 1, 2, 3, 4, 5, 6]);
      expect(thrown).toMatchObject({ isError: true, name: 'RangeError', message: 'row 7 is broken' });
      expect(await ended()).toEqual({ read: 7, ended: true });
    });

    it('is looped over in the primary itself in the same way', async () => {
      const there = await current.application.getFrom<Rows>(primary.pid, `/rows/first?id=${id}&take=5&of=1000000`);
      expect(there).toMatchObject({ pid: primary.pid, rows: [0, 1, 2, 3, 4], pids: [primary.pid], dates: true });
      expect(await ended()).toEqual({ read: 5, ended: true });
    });
  },
);
