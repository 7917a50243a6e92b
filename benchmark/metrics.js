// One scrape of a whole group beside prom-client's AggregatorRegistry.clusterMetrics(), in the same processes, in turns:
// how long it takes, how long the JavaScript of the process that answers is busy with it, and what it costs each member's
// event loop. Every worker has 500 series, of which those that a tenth of all requests move have moved since the last
// scrape. Writes RESULTS-metrics.md when it was run as a whole, without options.
//   npm run build && npm run bench:metrics [-- --members=4,16,64 --rounds=40]
const cluster = require('node:cluster');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { once } = require('node:events');
const { performance } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');
const { AggregatorRegistry, ...client } = require('prom-client-15');
const { resolveConfig } = require('../dist/config');
const { LocalEngine } = require('../dist/engine/local');
const { bin, must } = require('../scripts/shell');
const { report } = require('./metrics-report');
const { makeApplication } = require('./registry');

const option = (name, fallback) => new RegExp(`--${name}=([\\d,]+)`).exec(process.argv.join(' '))?.[1] ?? fallback;
const rounds = Number(option('rounds', 40));
/** A process has been scraped for some minutes: what it runs has been compiled. */
const WARM_UP = 60;
const logger = { debug() {}, info() {}, warn: console.warn, error: console.error };
const quiet = { timeout: 5_000, memberLabel: false, format: 'text' };

async function join(runtimeDir, registries) {
  const engine = new LocalEngine(
    {
      deployment: 'configured',
      group: 'benchmark',
      groupKey: 'benchmark',
      candidate: cluster.isPrimary,
      preferred: false,
      waitForPreferred: false,
      reasons: [],
    },
    // What is pushed in between is no part of a scrape.
    resolveConfig({ runtimeDir, metrics: { pushInterval: 3_600_000 } }),
    {
      invoke: () => undefined,
      wantsInvocations: false,
      deliver() {},
      takeOver() {},
      giveUp() {},
      registries: () => registries,
      logger,
    },
  );
  await engine.start();
  engine.markReady();
  return engine;
}

async function work() {
  const { registry, move } = makeApplication({ ...client, Registry: client.Registry }, 1);
  AggregatorRegistry.setRegistries([registry]);
  new AggregatorRegistry();
  const engine = await join(process.env.RUNTIME, [registry]);
  const orders = { move: () => move(0.1), leave: () => engine.close() };
  process.on('message', async message => {
    if (Object.hasOwn(orders, message)) {
      await orders[message]();
      process.send(message);
    }
  });
  process.send('joined');
}

async function measure(count) {
  const runtimeDir = fs.mkdtempSync(path.join(os.tmpdir(), 'agent-metrics-'));
  const aggregator = new AggregatorRegistry();
  const engine = await join(runtimeDir, []);
  const workers = Array.from({ length: count }, () => cluster.fork({ RUNTIME: runtimeDir }));
  const all = word =>
    Promise.all(
      workers.map(async worker => {
        for (let said; said !== word; ) {
          [said] = await once(worker, 'message');
        }
      }),
    );
  const order = async word => {
    const done = all(word);
    for (const worker of workers) {
      worker.send(word);
    }
    await done;
  };
  const pids = workers.map(worker => worker.process.pid);
  await all('joined');
  const ways = {
    'clusterMetrics()': () => aggregator.clusterMetrics(),
    'getMetrics()': () => engine.scrape(quiet),
  };
  const results = Object.entries(ways).map(([name, take]) => ({ name, take, count, total: [], busy: [], member: [] }));
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const result of results) {
      await order('move');
      await sleep(10);
      const spent = eventLoopTimes(pids);
      const before = performance.eventLoopUtilization();
      const began = performance.now();
      const text = await result.take();
      const total = performance.now() - began;
      const busy = performance.eventLoopUtilization(before).active;
      // Until all are idle again: only then the kernel has added up what they have used.
      await sleep(3);
      if (round >= 0) {
        result.total.push(total);
        result.busy.push(busy);
        result.member.push(median(eventLoopTimes(pids).map((time, i) => time - spent[i])));
        result.series = text.split('\n').filter(line => line && !line.startsWith('#')).length;
      }
    }
  }
  await order('leave');
  for (const worker of workers) {
    worker.disconnect();
  }
  await engine.close();
  fs.rmSync(runtimeDir, { recursive: true, force: true });
  return results;
}

/** Milliseconds of the processor that each process's event loop has used (Linux; without the process's other threads). */
function eventLoopTimes(pids) {
  try {
    return pids.map(pid => Number(fs.readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6);
  } catch {
    return pids.map(() => Number.NaN);
  }
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
}

async function main() {
  const all = [];
  for (const count of option('members', '4,16,64').split(',')) {
    const results = await measure(Number(count));
    const rows = results.map(({ name, series, total, busy, member }) => {
      const row = { count, name, series, total: median(total), busy: median(busy), member: median(member) };
      const times = [row.total, row.busy, row.member].map(time => time.toFixed(2));
      console.log(`${count} members, ${name}: ${times.join(', ')} ms (total, blocked, each member), ${series} series`);
      return row;
    });
    all.push(rows);
  }
  const text = report(all, { rounds });
  console.log(`\n${text}`);
  if (process.argv.length === 2) {
    const page = path.join(__dirname, 'RESULTS-metrics.md');
    fs.writeFileSync(page, text);
    must(bin('biome'), ['format', '--write', page]);
  }
  process.exit();
}

cluster.isPrimary ? main() : work();
