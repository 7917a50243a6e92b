// The metrics of an application, to measure with.

/** 500 series for each unit of `size`: 100 of counters, 140 of gauges, 20 histograms with 10 buckets. */
function makeApplication({ Registry, Counter, Gauge, Histogram }, size) {
  const registry = new Registry();
  const registers = [registry];
  const labelNames = ['method', 'route'];
  const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
  const many = (count, make) => Array.from({ length: count }, (_, i) => make(`metric_${make.name}_${i}`));
  const counters = many(10, function counter(name) {
    return new Counter({ name: `${name}_total`, help: 'A counter', labelNames, registers });
  });
  const gauges = many(14, function gauge(name) {
    return new Gauge({ name, help: 'A gauge', labelNames, registers });
  });
  const histograms = many(4, function histogram(name) {
    return new Histogram({ name, help: 'A histogram', labelNames, buckets, registers });
  });
  const labels = count => Array.from({ length: count }, (_, i) => () => ({ method: 'GET', route: `/path/${i}` }));
  const move = share => {
    const some = list => list.filter(() => Math.random() < share);
    for (const counter of counters) for (const make of some(labels(10 * size))) counter.inc(make());
    for (const gauge of gauges) for (const make of labels(10 * size)) gauge.set(make(), Math.random());
    for (const histogram of histograms) for (const make of some(labels(5 * size))) histogram.observe(make(), 0.3);
  };
  move(1);
  return { registry, move };
}

module.exports = { makeApplication };
