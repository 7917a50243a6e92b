/** What Prometheus itself makes of a group's metrics: its checks, and its numbers through the death of a process. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { Application } from '../support/application';
import { clusterManager, deployed } from '../support/deployments';
import { blocksOf } from '../support/documented';
import { removeTemporaryFolders, temporaryFolder } from '../support/folders';
import { freePorts, get, request } from '../support/http';
import { PATIENCE, scrape } from '../support/metrics';
import { killAll, run, start } from '../support/processes';
import { projectFolder } from '../support/project';
import { until } from '../support/until';

const found: { prometheus?: string; promtool?: string; missing?: string } =
  require('../../scripts/prometheus').prometheus();
const { prometheus = '', promtool = '', missing } = found;
if (missing) {
  console.warn(`Prometheus is not here, so nothing is tested with it: ${missing}.`);
}
const withPrometheus = missing ? describe.skip : describe;

afterAll(async () => {
  await killAll();
  removeTemporaryFolders();
});

withPrometheus.each(['v3', 'v4'] as const)(`promtool check metrics, Midway %s`, project => {
  afterEach(killAll);

  it('has nothing to say against the metrics of a group that it would not say of one process without it', async () => {
    const group = await clusterManager({ project, workers: 3 });
    await useAll(group.application);
    const ofGroup = check((await scrape(group.application)).text);
    expect(ofGroup.parsed).toBe(true);

    const [port] = await freePorts(1);
    const alone = start(['bootstrap.js'], { cwd: projectFolder(project), env: { PORT: String(port) } });
    const { application } = await deployed(new Application([port], 1), [alone]);
    await useAll(application);
    // prom-client's default metrics have gauges whose names end with _total.
    expect(ofGroup.complaints).toEqual(check((await scrape(application)).text).complaints);
  });

  it('has nothing to say against what `all` and memberLabel make of it, either', async () => {
    const metrics = { memberLabel: true, quantiles: 'max', aggregators: { nodejs_heap_size_total_bytes: 'all' } };
    const { application } = await clusterManager({
      project,
      workers: 3,
      env: { PROCESS_AGENT_CONFIG: JSON.stringify({ metrics }) },
    });
    await useAll(application);
    const { parsed, complaints } = check((await scrape(application)).text);
    expect(parsed).toBe(true);
    expect(complaints.filter(line => !/^nodejs_active_\w+_total non-counter/.test(line))).toEqual([]);
  });
});

withPrometheus('a real Prometheus', () => {
  it('takes the configuration that docs/metrics.md shows', () => {
    const [shown] = blocksOf('docs/metrics.md').filter(({ language }) => language === 'yaml');
    const file = path.join(temporaryFolder('config'), 'prometheus.yml');
    writeFileSync(file, shown.code);
    const { status, stdout, stderr } = spawnSync(promtool, ['check', 'config', file], { encoding: 'utf8' });
    expect(`${status} ${stderr}${stdout}`).toMatch(/^0 .*SUCCESS/s);
  });

  it('has the sums of all processes, and a counter that never falls while a process is killed', async () => {
    const { application } = await clusterManager({ project: 'v4', workers: 4 });
    const server = await startPrometheus(application.ports[0]);
    const { primary, workers } = await application.roles();

    let counted = 0;
    const count = async () => {
      const { status } = await request(application.ports[0], '/count-order?kind=book', { timeout: PATIENCE });
      counted += status === 200 ? 1 : 0;
    };
    for (let i = 0; i < 20; i++) {
      await count();
    }
    const series = 'shop_orders_total{kind="book"}';
    await until(async () => (await server.value(series)) === counted, { what: 'the sum' });
    expect(await server.value('process_agent_members{state="ready"}')).toBe(4);

    for (const { pid } of [primary, workers[0]]) {
      process.kill(pid, 'SIGKILL');
      await server.scrapes(2);
      for (let i = 0; i < 10; i++) {
        await count().catch(() => {});
      }
      // Until what was counted was shown it may die with who has counted it. A request without an answer may count, too.
      await until(async () => ((await server.value(series)) ?? 0) >= counted, { what: 'the new sum' });
    }
    expect(counted).toBeGreaterThan(30);
    for (const counter of [series, 'process_cpu_seconds_total', 'nodejs_gc_duration_seconds_count']) {
      expect(await server.value(`sum(resets(${counter}[1m]))`)).toBe(0);
      expect(await server.value(`min(min_over_time(increase(${counter}[3s])[1m:1s]))`)).toBeGreaterThanOrEqual(0);
    }
  });
});

/** So that there is something of each kind. */
async function useAll(application: Application): Promise<void> {
  await application.get('/count-order?kind=book');
  await application.get('/set?value=1');
}

function check(text: string): { parsed: boolean; complaints: string[] } {
  const { status, stdout, stderr }: SpawnSyncReturns<string> = spawnSync(promtool, ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
    timeout: 10_000,
  });
  // 3: it understands all of it, and would have named something otherwise.
  const parsed = status === 0 || status === 3;
  return { parsed, complaints: `${stdout}${stderr}`.split('\n').filter(Boolean).sort() };
}

/** On loopback, and with its data in a folder that goes with it. */
async function startPrometheus(target: number) {
  const folder = temporaryFolder('prometheus');
  const [port] = await freePorts(1);
  writeFileSync(
    path.join(folder, 'prometheus.yml'),
    JSON.stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: [{ job_name: 'app', static_configs: [{ targets: [`127.0.0.1:${target}`] }] }],
    }),
  );
  const args = [
    `--config.file=${path.join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${path.join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const running = run(prometheus, args, { cwd: folder });
  const value = async (query: string): Promise<number | undefined> => {
    type Found = { data: { result: { value: [number, string] }[] } };
    const { data } = await get<Found>(port, `/api/v1/query?query=${encodeURIComponent(query)}`, PATIENCE);
    return data.result.length === 0 ? undefined : Number(data.result[0].value[1]);
  };
  const samples = async () => (await value('count_over_time(up{job="app"}[5m])')) ?? 0;
  /** Until it has scraped so many times more. */
  const scrapes = async (more: number) => {
    const before = await samples();
    await until(async () => (await samples()) >= before + more, { what: `${more} scrapes more` });
  };
  await until(
    () => {
      if (!running.isRunning) {
        throw new Error(running.output);
      }
      return samples();
    },
    { what: 'the first scrape of Prometheus', timeout: 20_000 },
  );
  return { value, scrapes };
}
