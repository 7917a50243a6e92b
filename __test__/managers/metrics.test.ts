import type { Application } from '../support/application';
import { clusterManager, type Deployed } from '../support/deployments';
import { request } from '../support/http';
import { killAll } from '../support/processes';
import { until } from '../support/until';

interface Answer {
  pid: number;
  contentType: string | null;
  text: string;
}

/**
 * Longer than any answer takes. A cluster hands a connection to a worker that has just been killed now and then, and
 * nobody answers that one.
 */
const PATIENCE = 3_000;

/** `/metrics` of whichever member takes the connection. */
async function metrics({ ports }: Application): Promise<Answer> {
  const answer = await fetch(`http://127.0.0.1:${ports[0]}/metrics`, {
    headers: { connection: 'close' },
    signal: AbortSignal.timeout(PATIENCE),
  });
  const text = await answer.text();
  if (answer.status !== 200) {
    throw new Error(`${answer.status}: ${text}`);
  }
  return { pid: Number(answer.headers.get('x-pid')), contentType: answer.headers.get('content-type'), text };
}

function orders({ text }: Answer): number {
  return Number(/^shop_orders_total\{kind="book"\} (\d+)$/m.exec(text)?.[1]);
}

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
    const pids = new Set<number>();
    await until(
      async () => {
        const answer = await metrics(application);
        expect(orders(answer)).toBe(20);
        expect(answer.contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
        expect(answer.text).toContain('\nprocess_agent_members{state="ready"} 4\n');
        expect(answer.text).toContain('\nnodejs_eventloop_lag_seconds ');
        pids.add(answer.pid);
        return pids.size === 4;
      },
      { what: 'an answer of each', every: 5 },
    );
  });

  it('never answers less than before while workers, the primary among them, are killed and replaced', async () => {
    const { application } = current;
    let last = orders(await metrics(application));
    for (let i = 0; i < 200; i++) {
      if (i === 50 || i === 120) {
        const killed = i === 50 ? (await application.primary()).pid : (await metrics(application)).pid;
        process.kill(killed, 'SIGKILL');
      }
      // A request to a process that is being killed fails; the next one is answered.
      await request(application.ports[0], '/count-order?kind=book', { timeout: PATIENCE }).catch(() => {});
      const answer = await metrics(application).catch(() => undefined);
      if (answer) {
        expect(orders(answer)).toBeGreaterThanOrEqual(last);
        last = orders(answer);
      }
    }
    // 20 before it, and those of the 200 that were answered.
    expect(last).toBeGreaterThan(200);
  });
});
