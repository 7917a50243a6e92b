// What a snapshot costs the event loop, beside prom-client's own ways to say the same numbers. Each is timed alone, in
// turns, after all gauges were set and a tenth of the counters and histograms have moved.
//   npm run build:ts && node benchmark/collector.js [--rounds=300]
const { performance } = require('node:perf_hooks');
const { Collector } = require('../dist/metrics/collector');
const { makeApplication } = require('./registry');

const clients = ['prom-client-14', 'prom-client-15', '@prometheus-io/client'];
const rounds = Number(/--rounds=(\d+)/.exec(process.argv.join(' '))?.[1] ?? 300);

async function measure(client, size) {
  const { registry, move } = makeApplication(require(client), size);
  const collector = new Collector(() => [registry]);
  const ways = {
    'collect()': () => collector.collect(),
    'getMetricsAsJSON()': () => registry.getMetricsAsJSON(),
    // What a worker does for clusterMetrics(), before it sends it.
    'its JSON text': async () => JSON.stringify(await registry.getMetricsAsJSON()),
    'metrics()': () => registry.metrics(),
  };
  const { values } = await collector.collect();
  const times = Object.fromEntries(Object.keys(ways).map(name => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, take] of Object.entries(ways)) {
      move(0.1);
      const begin = performance.now();
      await take();
      times[name].push(performance.now() - begin);
    }
  }
  // A series more: the schema is made anew.
  const anew = [];
  for (let round = 0; round < 30; round++) {
    registry.getMetricsAsArray()[0].inc({ method: 'PUT', route: `/new/${round}` });
    const begin = performance.now();
    await collector.collect();
    anew.push(performance.now() - begin);
  }
  return { series: values.length, ...times, 'collect(), one series more': anew };
}

function quantile(times, q) {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
}

function ms(time) {
  return `${time.toFixed(3)} ms`;
}

async function main() {
  for (const client of clients) {
    for (const size of [1, 10]) {
      const { series, ...times } = await measure(client, size);
      console.log(`\n${client} ${require(`${client}/package.json`).version}, ${series} series`);
      const ours = quantile(times['collect()'], 0.5);
      for (const [name, each] of Object.entries(times)) {
        const [p50, p99] = [quantile(each, 0.5), quantile(each, 0.99)];
        // Before it has been compiled: a process that is scraped every 15 s stays there for long.
        const cold = quantile(each.slice(0, 9), 0.5);
        console.log(
          `  ${name.padEnd(28)} p50 ${ms(p50)}, the first nine ${ms(cold)}, p99 ${ms(p99)}, ${(p50 / ours).toFixed(1)}x`,
        );
      }
    }
  }
}

main();
