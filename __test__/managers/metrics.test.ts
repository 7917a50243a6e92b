import { clusterManager, type Deployed } from '../support/deployments';
import { request } from '../support/http';
import { PATIENCE, sample, scrape, scrapeEach, scrapeThrough } from '../support/metrics';
import { killAll } from '../support/processes';

const BOOKS = 'shop_orders_total{kind="book"}';

describe.each(['v3', 'v4'] as const)('Midway %s under ClusterManager', project => {
  let current: Deployed;
  beforeAll(async () => {
    current = await clusterManager({ project, workers: 4 });
  });
  afterAll(killAll);

  it('answers /metrics from every process with what all of them have counted', async () => {
    const { application } = current;
    await application.fromEach('/whoami');
    for (let i = 0; i < 20; i++) {
      await application.get('/count-order?kind=book');
    }
    await scrapeEach(application, answer => {
      expect(sample(answer, BOOKS)).toBe(20);
      expect(answer.contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
      expect(answer.text).toContain('\nprocess_agent_members{state="ready"} 4\n');
      expect(answer.text).toContain('\nnodejs_eventloop_lag_seconds ');
    });
  });

  it('never answers less than before while workers, the primary among them, are killed and replaced', async () => {
    const { application } = current;
    const last = await scrapeThrough(application, {
      series: BOOKS,
      times: 200,
      async before(i) {
        if (i === 50 || i === 120) {
          const killed = i === 50 ? (await application.primary()).pid : (await scrape(application)).pid;
          process.kill(killed, 'SIGKILL');
        }
        // A request to a process that is being killed fails; the next one is answered.
        await request(application.ports[0], '/count-order?kind=book', { timeout: PATIENCE }).catch(() => {});
      },
    });
    // 20 before it, and those of the 200 that were answered.
    expect(last).toBeGreaterThan(200);
  });
});
