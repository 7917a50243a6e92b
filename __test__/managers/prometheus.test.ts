import { existsSync } from 'node:fs';
import * as path from 'node:path';
import { Application } from '../support/application';
import { clusterManager, type Deployed, deployed, nodeCluster } from '../support/deployments';
import { removeTemporaryFolders, temporaryFolder } from '../support/folders';
import { freePorts } from '../support/http';
import { sample, scrape, scrapeEach, scrapeThrough } from '../support/metrics';
import { killAll, start } from '../support/processes';
import { projectFolder } from '../support/project';
import { until } from '../support/until';

/** Where `@midwayjs/prometheus` listens, in the one process that it would have all others ask. */
const folder = temporaryFolder('prometheus');
const socket = path.join(folder, 'midway-master.sock');
afterAll(async () => {
  await killAll();
  removeTemporaryFolders();
});

/** The component sets it on everything that it counts. */
const APP = 'APP_NAME="default"';
const SALES = `shop_sales_total{kind="book",${APP}}`;

const ways: [string, (env: Record<string, string>) => Promise<Deployed>][] = [
  ['Midway 3 under ClusterManager', env => clusterManager({ project: 'v3', workers: 4, env })],
  ['Midway 4 under ClusterManager', env => clusterManager({ project: 'v4', workers: 4, env })],
  ['node:cluster, the application in its primary, too', env => nodeCluster({ project: 'v3', appInPrimary: true, env })],
];

describe.each(ways)('@midwayjs/prometheus beside it: %s', (way, startIt) => {
  let application: Application;
  beforeAll(async () => {
    const place = way.includes('ClusterManager') ? 'before' : 'after';
    application = (
      await startIt({
        WITH_PROMETHEUS: place,
        TMPDIR: folder,
        PROCESS_AGENT_CONFIG: '{"metrics":{"pushInterval":300}}',
      })
    ).application;
  });
  afterAll(killAll);

  it('its /metrics answers, from every process, with what all of them have recorded through its DataService', async () => {
    const members = await application.fromEach('/whoami');
    for (const [i, { pid }] of members.entries()) {
      await application.getFrom(pid, `/data/record?value=${i + 1}`);
      await application.getFrom(pid, '/data/differ?by=2');
    }
    await scrapeEach(application, answer => {
      expect(answer.contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
      expect(sample(answer, SALES)).toBe(1 + 2 + 3 + 4);
      expect(sample(answer, `shop_size_bucket{le="1",${APP}}`)).toBe(1);
      expect(sample(answer, `shop_size_bucket{le="+Inf",${APP}}`)).toBe(4);
      expect(sample(answer, `shop_size_sum{${APP}}`)).toBe(10);
      expect(sample(answer, `shop_wait_count{kind="long",${APP}}`)).toBe(4);
      expect(sample(answer, `shop_wait{quantile="0.5",kind="long",${APP}}`)).toBe(4);
      expect(sample(answer, `shop_open{${APP}}`)).toBe(8);
      expect(sample(answer, 'process_agent_members{state="ready"}')).toBe(4);
      expect(answer.text).toContain(`\nprocess_resident_memory_bytes{${APP}} `);
    });
  });

  it('a gauge is what was set last, whoever has set it', async () => {
    const members = await application.fromEach('/whoami');
    for (const [i, { pid }] of members.entries()) {
      await application.getFrom(pid, `/data/set?value=${10 - i}`);
      expect(sample(await scrape(application), `shop_stock{${APP}}`)).toBe(10 - i);
    }
  });

  it('the requests of all processes are counted, by status', async () => {
    const series = (status: number, uri: string) =>
      `http_request_duration_milliseconds_count{method="GET",status="${status}",uri="${uri}",${APP}}`;
    const before = await scrape(application);
    const members = await application.fromEach('/whoami');
    for (const { pid } of members) {
      await application.getFrom(pid, '/data/unknown');
      expect((await application.requestTo(pid, '/data/fail')).status).toBe(500);
    }
    const after = await scrape(application);
    // The component takes every answer for a success, also those that say that they are for another process.
    expect(sample(after, series(200, '/data/unknown'))).toBeGreaterThanOrEqual(members.length);
    expect((sample(after, series(500, '/data/fail')) ?? 0) - (sample(before, series(500, '/data/fail')) ?? 0)).toBe(4);
    expect(after.text).toContain('\nhttp_request_latency_milliseconds{quantile="0.99",');
  });

  it('never answers less than before while one is killed and replaced, and a gauge that is counted stays a sum', async () => {
    const { primary, workers } = await application.roles();
    // A cluster primary takes its workers with it.
    const killed = way.includes('ClusterManager') ? primary.pid : workers[0].pid;
    const { before, after, counted } = await scrapeThrough(
      application,
      { series: SALES, path: '/data/record?value=1', times: 60 },
      async () => process.kill(killed, 'SIGKILL'),
    );
    // What it had answered since the last scrape may have died with it.
    expect(after).toBeGreaterThanOrEqual(before + counted - 1);
    // Three of the four live. Who is new has set it to 0; ClusterManager does not always replace who was killed.
    const members = way.includes('ClusterManager') ? 3 : 4;
    await until(
      async () => {
        const answer = await scrape(application);
        const ready = sample(answer, 'process_agent_members{state="ready"}') ?? 0;
        return ready >= members && sample(answer, `shop_open{${APP}}`) === 6;
      },
      { what: 'the group to count without the one that was killed' },
    );
  });

  it('asks nobody over its own socket', () => {
    expect(existsSync(socket)).toBe(false);
  });
});

test('a process that is alone has @midwayjs/prometheus as it is', async () => {
  const [port] = await freePorts(1);
  const running = start(['bootstrap.js'], {
    cwd: projectFolder('v3'),
    env: { WITH_PROMETHEUS: 'after', PORT: String(port), TMPDIR: folder },
  });
  const { application } = await deployed(new Application([port], 1), [running]);
  for (const by of [5, -2]) {
    await application.get(`/data/differ?by=${by}`);
  }
  await application.get('/data/record?value=3');
  const answer = await scrape(application);
  expect(answer.contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(sample(answer, SALES)).toBe(3);
  expect(sample(answer, `shop_open{${APP}}`)).toBe(3);
  expect(sample(answer, `shop_wait{quantile="0.5",kind="long",${APP}}`)).toBe(3);
  expect(answer.text).not.toContain('process_agent_');
  expect(existsSync(socket)).toBe(true);
});
