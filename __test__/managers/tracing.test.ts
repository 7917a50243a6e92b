import { randomBytes } from 'node:crypto';
import type { WhoAmI } from '../support/application';
import type { Deployed } from '../support/deployments';
import { killAll } from '../support/processes';
import { startBy, type Way } from '../support/ways';

const TRACED = { NODE_OPTIONS: '--require ./tracing.js' };

describe.each<Way>(['ClusterManager of Midway 4', 'node:cluster, the application in its primary, too'])(
  'an application with OpenTelemetry, under %s',
  way => {
    let current: Deployed;
    let primary: WhoAmI;
    let workers: WhoAmI[];
    beforeAll(async () => {
      current = await startBy(way, {}, { env: TRACED });
      ({ primary, workers } = await current.application.roles());
    });
    afterAll(killAll);

    const ask = (pid: number, traceparent?: string) =>
      current.application.getFrom(pid, '/traced', { headers: traceparent ? { traceparent } : {} });

    it("has the trace of a worker's request in the primary, in a stream of it, and in all processes", async () => {
      // Two at once: each has its own.
      const traces = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')];
      const answers = await Promise.all(traces.map(id => ask(workers[0].pid, `00-${id}-b7ad6b7169203331-01`)));
      for (const [i, id] of traces.entries()) {
        expect(answers[i]).toMatchObject({
          pid: workers[0].pid,
          executedBy: primary.pid,
          here: id,
          called: [id, id],
          rows: [id, id],
          everywhere: [id, id, id],
        });
      }
    });

    it('has none where the request has none', async () => {
      expect(await ask(workers[1].pid)).toMatchObject({
        executedBy: primary.pid,
        here: null,
        called: [null, null],
        rows: [null, null],
        everywhere: [null, null, null],
      });
    });
  },
);
