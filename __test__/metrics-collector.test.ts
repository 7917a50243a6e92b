import { CLIENTS, type Client, type ClientRegistry, load, newRegistry } from './metrics/clients';
import { expected, Receiver } from './metrics/receiver';

afterEach(() => {
  jest.restoreAllMocks();
});

describe.each(CLIENTS)('with %s', name => {
  let client: Client;
  let registry: ClientRegistry;
  let registers: [ClientRegistry];
  let receiver: Receiver;

  beforeEach(() => {
    client = load(name);
    registry = newRegistry(client);
    registers = [registry];
    receiver = new Receiver(registers);
  });

  const newCounter = (more: object = {}) =>
    new client.Counter({ name: 'jobs_total', help: 'Jobs', labelNames: ['queue', 'try'], registers, ...more });
  const newGauge = (more: object = {}) =>
    new client.Gauge({ name: 'size', help: 'Size', labelNames: ['queue', 'try'], registers, ...more });
  const newHistogram = (more: object = {}) =>
    new client.Histogram({ name: 'd', help: 'D', labelNames: ['queue'], buckets: [0.5, 1], registers, ...more });

  it('the schema is told at first, and again only when there are other series, or when it was forgotten', async () => {
    const counter = newCounter();
    counter.inc({ queue: 'mail' });
    for (let i = 1; i <= 3; i++) {
      expect(await receiver.samples()).toEqual({ 'jobs_total{queue="mail"}': i });
      expect(receiver.schemas).toBe(1);
      counter.inc({ queue: 'mail' });
    }
    counter.inc({ queue: 'push', try: 2 });
    expect(await receiver.samples()).toEqual({ 'jobs_total{queue="mail"}': 4, 'jobs_total{queue="push",try="2"}': 1 });
    expect(receiver.schemas).toBe(2);
    receiver.collector.forget();
    await receiver.samples();
    await receiver.samples();
    expect(receiver.schemas).toBe(3);
  });

  it('a metric is asked once in its usual way, then read directly', async () => {
    const gets = [client.Counter, client.Gauge, client.Histogram, client.Summary].map(metric =>
      jest.spyOn(metric.prototype as { get(): unknown }, 'get'),
    );
    newCounter({ labelNames: [] });
    newGauge({ labelNames: [] }).set(3);
    newHistogram({ labelNames: [] }).observe(0.7);
    new client.Summary({ name: 's', help: 'S', registers }).observe(2);
    for (let i = 0; i < 3; i++) {
      const samples = await receiver.samples();
      expect(samples).toMatchObject({ jobs_total: 0, size: 3, 'd_bucket{le="0.5"}': 0, 'd_bucket{le="1"}': 1 });
      expect(samples).toMatchObject({ 'd_bucket{le="+Inf"}': 1, d_sum: 0.7, d_count: 1, s_sum: 2, s_count: 1 });
    }
    expect(gets.map(get => get.mock.calls.length)).toEqual([1, 1, 1, 1]);
  });

  it('the same labels in another order, in another object or as numbers are no other series', async () => {
    const gauge = newGauge();
    gauge.set({ queue: 'mail', try: 1 }, 1);
    await receiver.samples();
    gauge.set({ try: '1', queue: 'mail' }, 2);
    expect(await receiver.samples()).toEqual({ 'size{queue="mail",try="1"}': 2 });
    gauge.set({ queue: 'mail', try: 1 }, 3);
    expect(await receiver.samples()).toEqual({ 'size{queue="mail",try="1"}': 3 });
    expect(receiver.schemas).toBe(1);
  });

  it('series and metrics that are gone are not told any more', async () => {
    const counter = newCounter();
    const same = async () => expect(await receiver.families()).toEqual(await expected(registry));
    counter.inc({ queue: 'a' });
    counter.inc({ queue: 'b' });
    await same();
    await same();
    counter.remove({ queue: 'a' });
    counter.inc({ queue: 'c' });
    await same();
    counter.reset();
    await same();
    counter.inc({ queue: 'c' });
    await same();
    registry.removeSingleMetric('jobs_total');
    await same();
    newGauge({ name: 'jobs_total' }).set({ queue: 'c' }, 5);
    await same();
    newHistogram().observe({ queue: 'c' }, 5);
    await same();
    registry.resetMetrics();
    await same();
    registry.clear();
    expect(await receiver.families()).toEqual([]);
  });

  it("a registry's default labels fill in what a series lacks, and may change", async () => {
    registry.setDefaultLabels({ app: 'shop', queue: 'none' });
    newCounter().inc({ queue: 'mail' });
    newGauge().set({}, 1);
    const samples = { 'jobs_total{queue="mail",app="shop"}': 1, 'size{app="shop",queue="none"}': 1 };
    expect(await receiver.samples()).toEqual(samples);
    expect(await receiver.samples()).toEqual(samples);
    registry.setDefaultLabels({ app: 'bank' });
    expect(await receiver.samples()).toEqual({ 'jobs_total{queue="mail",app="bank"}': 1, 'size{app="bank"}': 1 });
    registry.setDefaultLabels({});
    expect(await receiver.samples()).toEqual({ 'jobs_total{queue="mail"}': 1, size: 1 });
  });

  it('a label with an empty text is one that is there, as in the text that prom-client writes', async () => {
    registry.setDefaultLabels({ queue: 'none' });
    newCounter().inc({ queue: '' });
    expect(await registry.metrics()).toContain('jobs_total{queue=""} 1');
    expect(await receiver.samples()).toEqual({ 'jobs_total{queue=""}': 1 });
  });

  it('a default label that Prometheus does not take is left out, and named once', async () => {
    registry.setDefaultLabels({ 'my-app': 1, zone: 2 });
    newCounter().inc({ queue: 'mail' });
    expect(await receiver.samples()).toEqual({ 'jobs_total{queue="mail",zone="2"}': 1 });
    await receiver.samples();
    expect(receiver.problems).toEqual(['the default label my-app is left out: it is no label name']);
  });

  it("aggregators are carried: the metric's own, and before it the one that is configured", async () => {
    receiver = new Receiver(registers, { aggregators: { size: 'mostrecent', jobs_total: 'livesum' } });
    newCounter();
    newGauge({ aggregator: 'max' });
    newGauge({ name: 'age', aggregator: 'max' });
    newGauge({ name: 'plain' });
    const aggregators = (await receiver.families()).map(family => [family.name, family.aggregator]);
    expect(aggregators).toEqual([
      ['jobs_total', 'livesum'],
      ['size', 'mostrecent'],
      ['age', 'max'],
      ['plain', 'sum'],
    ]);
  });

  it('a metric with an aggregator that nobody knows is left out, and named once', async () => {
    newGauge({ aggregator: 'median' });
    newCounter();
    for (let i = 0; i < 3; i++) {
      expect((await receiver.families()).map(family => family.name)).toEqual(['jobs_total']);
    }
    expect(receiver.problems).toHaveLength(1);
    expect(receiver.problems[0]).toMatch(/^the metric size is left out: its aggregator median is none of sum, /);
  });

  it('summaries have sums and counts; quantiles are computed on wish', async () => {
    const summary = new client.Summary({ name: 's', help: 'S', labelNames: ['a'], percentiles: [0.5], registers });
    summary.observe({ a: 1 }, 2);
    summary.observe({ a: 1 }, 4);
    const wishes = new Receiver(registers, { quantiles: true });
    for (let i = 0; i < 3; i++) {
      expect(await receiver.samples()).toEqual({ 's_sum{a="1"}': 6, 's_count{a="1"}': 2 });
      expect(await wishes.samples()).toMatchObject({ 's{quantile="0.5",a="1"}': 3, 's_sum{a="1"}': 6 });
    }
  });

  it('a summary that forgets what is old does so here, too', async () => {
    const limits = { maxAgeSeconds: 0.02, ageBuckets: 1, pruneAgedBuckets: true };
    const summary = new client.Summary({ name: 's', help: 'S', labelNames: ['a'], registers, ...limits });
    summary.observe({ a: 1 }, 2);
    expect(await receiver.samples()).toEqual({ 's_sum{a="1"}': 2, 's_count{a="1"}': 1 });
    await new Promise(resolve => setTimeout(resolve, 60));
    expect(await receiver.samples()).toEqual({});
  });

  it('a series that comes twice is told once, and the metric named once', async () => {
    registry.setDefaultLabels({ queue: 'mail' });
    const counter = newCounter();
    counter.inc({ queue: 'mail' }, 2);
    await receiver.samples();
    await receiver.samples();
    counter.inc({}, 3);
    expect(await receiver.samples()).toEqual({ 'jobs_total{queue="mail"}': 2 });
    counter.inc({ queue: 'mail' }, 2);
    expect(await receiver.samples()).toEqual({ 'jobs_total{queue="mail"}': 4 });
    const problem = 'the metric jobs_total has several series with the same labels; the first of them is taken';
    expect(receiver.problems).toEqual([problem]);
  });

  it('bounds that are odd are told in a way that others can read', async () => {
    newHistogram({ labelNames: [], buckets: [1, 1, Infinity] }).observe(0.5);
    const samples = await receiver.samples();
    expect(Object.keys(samples)).toEqual(['d_bucket{le="1"}', 'd_bucket{le="+Inf"}', 'd_sum', 'd_count']);
    expect(samples['d_bucket{le="1"}']).toBe(1);
  });

  it('texts that are no text for others are mended, and a label that is too long costs its metric only', async () => {
    newCounter({ help: 'Half \ud83d' }).inc({ queue: 'a\udc4d"\\\n' });
    newGauge().set({ queue: 'x'.repeat(70_000) }, 1);
    const families = await receiver.families();
    expect(families).toHaveLength(1);
    expect(families[0].help).toBe('Half \ufffd');
    expect(families[0].values[0].labels).toEqual({ queue: 'a\ufffd"\\\n' });
    expect(receiver.problems).toEqual([
      'the metric size is left out: the value of label queue is longer than 65536 bytes',
    ]);
  });

  it('a get() that somebody has put in its place is asked each time', async () => {
    class Clock extends client.Gauge {
      ticks = 0;
      override async get() {
        this.set(++this.ticks);
        return (await super.get()) as never;
      }
    }
    new Clock({ name: 'ticks', help: 'T', registers });
    const gauge = newGauge({ labelNames: [] });
    for (let i = 1; i <= 4; i++) {
      expect(await receiver.samples()).toEqual({ ticks: i, size: i < 3 ? 0 : 7 });
      if (i === 2) {
        const get = gauge.get.bind(gauge);
        gauge.get = async () => {
          gauge.set(7);
          return get();
        };
      }
    }
  });

  it('one name in two registries is told once, from the first; the same metric in two is no problem', async () => {
    const other = newRegistry(client);
    receiver = new Receiver([registry, other, registry]);
    newCounter({ labelNames: [] }).inc(1);
    newCounter({ labelNames: [], registers: [other] }).inc(2);
    newGauge({ labelNames: [], registers: [registry, other] }).set(3);
    for (let i = 0; i < 3; i++) {
      expect(await receiver.samples()).toEqual({ jobs_total: 1, size: 3 });
    }
    const problem = 'the metric jobs_total is left out of a registry: another has that name, too';
    expect(receiver.problems).toEqual([problem]);
    registry.removeSingleMetric('jobs_total');
    expect(await receiver.samples()).toEqual({ jobs_total: 2, size: 3 });
  });

  it('who asks while a snapshot is being taken gets that one, with numbers from after it has asked', async () => {
    let finish = () => {};
    newGauge({ labelNames: [], collect: () => new Promise<void>(resolve => (finish = resolve)) });
    const counter = newCounter({ labelNames: [] });
    const first = receiver.collector.collect();
    counter.inc(5);
    const second = receiver.collector.collect();
    finish();
    expect(await first).toBe(await second);
    expect((await first).values).toEqual(new Float64Array([0, 5]));
  });

  it('each snapshot has numbers of its own', async () => {
    const gauge = newGauge({ labelNames: [] });
    gauge.set(7);
    const { values } = await receiver.collector.collect();
    gauge.set(8);
    await receiver.collector.collect();
    expect(values).toEqual(new Float64Array([7]));
  });

  it('ten thousand snapshots with series that come and go leave nothing behind', async () => {
    const collectGarbage = exposeGarbageCollection();
    const counter = newCounter();
    const gauge = newGauge({ collect: () => gauge.set({ queue: 'mail' }, 1) });
    newHistogram().observe({ queue: 'mail' }, 1);
    const take = async (count: number) => {
      for (let i = 0; i < count; i++) {
        if (i % 10 === 0) {
          counter.reset();
          counter.inc({ queue: `q${i}` });
          registry.removeSingleMetric('d');
          newHistogram().observe({ queue: `q${i}` }, 1);
        }
        await receiver.collector.collect();
      }
      collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    const before = await take(1_000);
    const after = await take(10_000);
    // A snapshot that is kept takes some hundred bytes; what the test runner itself keeps is less.
    expect(after - before).toBeLessThan(2_000_000);
  });
});

function exposeGarbageCollection(): () => void {
  require('node:v8').setFlagsFromString('--expose-gc');
  return require('node:vm').runInNewContext('gc');
}
