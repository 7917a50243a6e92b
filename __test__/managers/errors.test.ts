import type { WhoAmI } from '../support/application';
import type { Deployed } from '../support/deployments';
import { killAll } from '../support/processes';
import { killPm2, startBy, type Way } from '../support/ways';

interface Careful {
  pid: number;
  outOfStock: boolean;
  httpError: boolean;
  name: string;
  message: string;
  fields: Record<string, unknown>;
  causeOutOfStock: false | number;
  stack: string;
}

describe.each<Way>(['ClusterManager of Midway 3', 'ClusterManager of Midway 4', 'pm2 in fork mode'])(
  'what a method throws in the primary, under %s',
  way => {
    let current: Deployed;
    let primary: WhoAmI;
    let worker: number;
    beforeAll(async () => {
      current = await startBy(way, {}, { workers: 2 });
      const roles = await current.application.roles();
      primary = roles.primary;
      worker = roles.workers[0].pid;
    });
    afterAll(async () => {
      await killAll();
      await killPm2();
    });

    const careful = (item: string) => current.application.getFrom<Careful>(worker, `/order/carefully?item=${item}`);

    it.each([
      ['unknown', 404, 'NotFoundError', 'no such item'],
      ['secret', 403, 'ForbiddenError', 'not for you'],
      ['taken', 409, 'ConflictError', 'already taken'],
      ['invalid', 400, 'BadRequestError', 'an item, please'],
      ['teapot', 418, 'TeapotError', 'short and stout'],
    ])('%s: answers %d in the worker as in the primary', async (item, status, name, message) => {
      const there = await current.application.requestTo(primary.pid, `/order?item=${item}`);
      const here = await current.application.requestTo(worker, `/order?item=${item}`);
      expect(here).toEqual(there);
      expect(here.status).toBe(status);
      expect(await careful(item)).toMatchObject({ pid: worker, httpError: true, name, message, fields: { status } });
    });

    it('an error of no such family answers 500, as in the primary', async () => {
      expect((await current.application.requestTo(primary.pid, '/order?item=out')).status).toBe(500);
      expect((await current.application.requestTo(worker, '/order?item=out')).status).toBe(500);
      expect(await current.application.getFrom(worker, '/order?item=a-lamp')).toMatchObject({
        pid: worker,
        executedBy: primary.pid,
      });
    });

    it('a registered class is that class in the worker, with its fields and both stacks', async () => {
      const caught = await careful('out');
      expect(caught).toMatchObject({
        pid: worker,
        outOfStock: true,
        httpError: false,
        name: 'OutOfStockError',
        message: '0 of lamps are left',
        fields: { item: 'lamps', left: 0 },
      });
      expect(caught.stack).toMatch(/OrderService\.order[\s\S]+called from pid \d+[\s\S]+OrderController\.carefully/);
      expect(caught.stack).toContain(`called from pid ${worker}`);
    });

    it('a registered class is that class as a cause, too', async () => {
      expect(await careful('wrapped')).toMatchObject({ message: 'the order has failed', causeOutOfStock: 1 });
    });

    it('a class that nobody has registered is the nearest one that the worker knows, with its fields', async () => {
      expect(await careful('teapot')).toMatchObject({
        httpError: true,
        outOfStock: false,
        message: 'short and stout',
        fields: { status: 418, spout: 'short' },
      });
    });
  },
);
