import type * as prometheus from 'prom-client-15';
import { type Client, type ClientRegistry, load, NEWER, newOpenMetricsRegistry } from './metrics/clients';
import { Receiver } from './metrics/receiver';

describe.each(NEWER)('OpenMetrics with %s', name => {
  let client: Client;
  let registry: ClientRegistry;
  let receiver: Receiver;

  beforeEach(() => {
    client = load(name);
    registry = newOpenMetricsRegistry(client);
    receiver = new Receiver([registry]);
  });

  const common = () => ({ help: 'Help', labelNames: ['a'], registers: [registry], enableExemplars: true });

  it('exemplars go with their columns, read through get() and directly', async () => {
    const counter = new client.Counter({ name: 'jobs_total', ...common() });
    const histogram = new client.Histogram({ name: 'd', buckets: [1, 2], ...common() }) as WithExemplars;
    new client.Gauge({ name: 'size', help: 'Size', registers: [registry] as never });
    counter.inc({ labels: { a: '1' }, value: 3, exemplarLabels: { trace_id: 't1' } } as never);
    histogram.observe({ labels: { a: '1' }, value: 1.5, exemplarLabels: { trace_id: 7 } });
    histogram.observe({ labels: { a: '1' }, value: 9, exemplarLabels: { trace_id: 't3' } });
    for (let i = 0; i < 3; i++) {
      await receiver.samples();
      expect(receiver.exemplars).toEqual([
        [0, { trace_id: 't1' }, 3, expect.any(Number)],
        [2, { trace_id: '7' }, 1.5, expect.any(Number)],
        [3, { trace_id: 't3' }, 9, expect.any(Number)],
      ]);
    }
    expect(receiver.exemplars[0][3]).toBeCloseTo(Date.now() / 1000, -1);
  });

  it('an exemplar that others could not read is left out alone', async () => {
    const counter = new client.Counter({ name: 'jobs_total', ...common() });
    counter.inc({ labels: { a: '1' }, exemplarLabels: { 'trace-id': 't1' } } as never);
    counter.inc({ labels: { a: '2' }, exemplarLabels: { trace_id: 't2' } } as never);
    await receiver.samples();
    await receiver.samples();
    expect(receiver.exemplars).toEqual([[1, { trace_id: 't2' }, 1, expect.any(Number)]]);
    expect(receiver.problems).toEqual(['exemplars are left out: they are too many, or no others can read them']);
  });

  it("a counter has one name, whether or not the registry has dropped its '_total'", async () => {
    new client.Counter({ name: 'jobs_total', ...common() });
    new client.Counter({ name: 'plain', ...common() });
    const names = async () => (await receiver.families()).map(family => family.name);
    expect(await names()).toEqual(['jobs_total', 'plain_total']);
    await registry.metrics();
    expect(registry.getMetricsAsArray().map(metric => metric.name)).toEqual(['jobs', 'plain']);
    expect(await names()).toEqual(['jobs_total', 'plain_total']);
    expect(receiver.schemas).toBe(1);
  });
});

type WithExemplars = prometheus.Histogram & { observe(options: object): void };
