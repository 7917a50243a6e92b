// One scrape of a whole group beside prom-client's AggregatorRegistry.clusterMetrics(), in the same processes, in turns:
// how long it takes, and how long the JavaScript of the process that answers is busy with it. Every worker has 500 series,
// of which those that a tenth of all requests move have moved since the last scrape.
//   npm run build && node benchmark/metrics.js [--members=4,16] [--rounds=40]
const cluster = require('node:cluster');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { once } = require('node:events');
const { performance } = require('node:perf_hooks');
const { AggregatorRegistry, ...client } = require('prom-client-15');
const { resolveConfig } = require('../dist/config');
const { LocalEngine } = require('../dist/engine/local');
const { makeApplication } = require('./registry');

const option = (name, fallback) => new RegExp(`--${name}=([\\d,]+)`).exec(process.argv.join(' '))?.[1] ?? fallback;
const rounds = Number(option('rounds', 40));
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
  await join(process.env.RUNTIME, [registry]);
  process.on('message', message => {
    if (message === 'move') {
      move(0.1);
      process.send('moved');
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
  await all('joined');
  const ways = {
    'clusterMetrics()': () => aggregator.clusterMetrics(),
    'getMetrics()': () => engine.scrape(quiet),
  };
  const results = Object.fromEntries(Object.keys(ways).map(name => [name, { total: [], busy: [], size: 0 }]));
  for (let round = -5; round < rounds; round++) {
    for (const [name, take] of Object.entries(ways)) {
      const moved = all('moved');
      for (const worker of workers) {
        worker.send('move');
      }
      await moved;
      await new Promise(resolve => setTimeout(resolve, 10));
      const before = performance.eventLoopUtilization();
      const began = performance.now();
      const text = await take();
      const total = performance.now() - began;
      const busy = performance.eventLoopUtilization(before).active;
      if (round >= 0) {
        results[name].total.push(total);
        results[name].busy.push(busy);
        results[name].size = text.split('\n').filter(line => line && !line.startsWith('#')).length;
      }
    }
  }
  for (const worker of workers) {
    worker.kill();
  }
  await engine.close();
  fs.rmSync(runtimeDir, { recursive: true, force: true });
  const median = times => [...times].sort((a, b) => a - b)[times.length >> 1];
  const [theirs, ours] = Object.values(results);
  for (const [name, { total, busy, size }] of Object.entries(results)) {
    console.log(
      `${count} members, ${name.padEnd(17)} ${median(total).toFixed(2)} ms, busy ${median(busy).toFixed(2)} ms, ${size} series`,
    );
  }
  console.log(
    `${count} members: ${(median(theirs.total) / median(ours.total)).toFixed(1)} times faster, ` +
      `${(median(theirs.busy) / median(ours.busy)).toFixed(1)} times less blocking`,
  );
}

async function main() {
  for (const count of option('members', '4,16').split(',')) {
    await measure(Number(count));
  }
  process.exit();
}

cluster.isPrimary ? main() : work();
