/**
 * The group's numbers are those of prom-client's own `AggregatorRegistry.aggregate()`, on registries made at random, but
 * where that is deliberately not so: see "Where it differs" in docs/metrics.md.
 */
import type { MetricJson } from '../../ts/metrics/registry-types';
import { type Client, type ClientRegistry, load, newRegistry } from '../metrics/clients';
import { type Exposed, readExposition } from '../metrics/exposition';
import { RandomApplication, randomFrom } from '../metrics/random';
import { expected } from '../metrics/receiver';
import { type Process, Processes } from './members';

/** `METRICS_SEEDS=1000` for a longer test; `METRICS_SEED=7` for that one alone. */
const ONLY = process.env.METRICS_SEED;
const SEEDS = Number(process.env.METRICS_SEEDS ?? 60);
const AT_ONCE = 20;
const MEMBERS = 3;
const STEPS = 60;

let processes: Processes;
beforeEach(() => {
  processes = new Processes();
});
afterEach(() => processes.end());

describe.each(['prom-client-14', 'prom-client-15'] as const)('with %s', name => {
  const client = load(name);

  it('all members together say what AggregatorRegistry.aggregate() says', async () => {
    const members = await byAge(processes);
    for (let first = 1; first <= SEEDS; first += AT_ONCE) {
      const seeds = ONLY ? [Number(ONLY)] : range(first, Math.min(first + AT_ONCE, SEEDS + 1));
      const groups = seeds.map(seed => ({ seed, registries: range(0, MEMBERS).map(i => registryOf(client, seed, i)) }));
      await Promise.all(
        members.map(async (member, i) => {
          const said = groups.map(({ registries }) => registries[i].getMetricsAsJSON());
          await member.run('say', await Promise.all(said));
        }),
      );
      const { text } = await members[1].run<{ text: string }>('scrape', {});
      const exposed = readExposition(text);
      for (const { seed, registries } of groups) {
        await compare(client, seed, registries, exposed);
      }
      if (ONLY) {
        break;
      }
    }
  });

  it('differs where that is meant', async () => {
    const [first, second, third] = await byAge(processes);
    const jsons = await Promise.all([one(client), other(client)].map(registry => registry.getMetricsAsJSON()));
    await first.run('say', [jsons[0]]);
    await second.run('say', [jsons[1]]);
    const { text } = await third.run<{ text: string }>('scrape', {});
    const exposed = readExposition(text);
    const ours = (family: string) => byLabels(exposed.get(family)?.values ?? []);
    const aggregated = client.AggregatorRegistry.aggregate(jsons) as unknown as ClientRegistry;
    const all = await aggregated.getMetricsAsJSON();
    const theirs = (family: string) => {
      const { values = [] } = all.find(each => each.name === family) as unknown as MetricJson;
      return values.map(({ metricName = family, labels, value }) => [metricName, { ...labels }, value]);
    };

    // The median of 1 and that of 3 are no median of 4.
    expect(theirs('waits')).toContainEqual(['waits', { quantile: 0.5 }, 4]);
    expect(ours('waits')).toEqual({ 'waits_sum[]': 4, 'waits_count[]': 2 });

    // Of three observations, two are at most 5, and all are at most 10.
    expect(theirs('sizes').filter(([name]) => name === 'sizes_bucket')).toEqual([
      ['sizes_bucket', { le: 1 }, 1],
      ['sizes_bucket', { le: 10 }, 2],
      ['sizes_bucket', { le: '+Inf' }, 3],
      ['sizes_bucket', { le: 5 }, 1],
    ]);
    expect(ours('sizes')).toMatchObject({
      'sizes_bucket[["le","1"]]': 1,
      'sizes_bucket[["le","5"]]': 2,
      'sizes_bucket[["le","10"]]': 3,
      'sizes_bucket[["le","+Inf"]]': 3,
    });

    // One has it as a counter, another as a gauge: they can't be added.
    expect(theirs('jobs')).toEqual([['jobs', {}, 3]]);
    expect(ours('jobs')).toEqual({ 'jobs[]': 1 });

    // A label without a value is a label in the text of one process, too.
    expect(ours('calls')).toEqual({ 'calls[]': 1, 'calls[["kind","undefined"]]': 2 });

    // A metric that does not say how it is aggregated, or says what nobody knows, spoils nothing.
    for (const aggregator of [undefined, 'mean']) {
      const unknown = [{ name: 'level', help: 'help', type: 'gauge', aggregator, values: [{ value: 2, labels: {} }] }];
      expect(() => client.AggregatorRegistry.aggregate([unknown] as never)).toThrow('is not a defined aggregator');
      await second.run('say', [unknown, jsons[1]]);
      const answer = await third.run<{ text: string }>('scrape', {});
      const level = readExposition(answer.text).get('level');
      expect(level?.values.map(({ value }) => value)).toEqual(aggregator ? undefined : [2]);
      expect(readExposition(answer.text).get('waits')).toBeDefined();
    }
  });
});

/** Two registries of which nothing but the names is the same. */
function one(client: Client): ClientRegistry {
  const registry = newRegistry(client);
  const common = { help: 'help', registers: [registry] };
  new client.Summary({ name: 'waits', percentiles: [0.5], ...common }).observe(1);
  const sizes = new client.Histogram({ name: 'sizes', buckets: [1, 10], ...common });
  sizes.observe(0.5);
  sizes.observe(7);
  new client.Counter({ name: 'jobs', ...common }).inc(1);
  new client.Counter({ name: 'calls', labelNames: ['kind'], ...common }).inc({}, 1);
  return registry;
}

function other(client: Client): ClientRegistry {
  const registry = newRegistry(client);
  const common = { help: 'help', registers: [registry] };
  new client.Summary({ name: 'waits', percentiles: [0.5], ...common }).observe(3);
  new client.Histogram({ name: 'sizes', buckets: [5], ...common }).observe(3);
  new client.Gauge({ name: 'jobs', ...common }).set(2);
  new client.Counter({ name: 'calls', labelNames: ['kind'], ...common }).inc({ kind: undefined } as never, 2);
  return registry;
}

async function compare(client: Client, seed: number, registries: ClientRegistry[], exposed: Map<string, Exposed>) {
  const jsons = await Promise.all(registries.map(registry => registry.getMetricsAsJSON()));
  // It refuses everything when a metric has none.
  const complete = jsons.map(json => json.map(metric => ({ ...metric, aggregator: metric.aggregator ?? 'sum' })));
  try {
    const aggregated = client.AggregatorRegistry.aggregate(complete as never) as unknown as ClientRegistry;
    const wanted = await expected(aggregated);
    for (const { name, help, type, values } of wanted) {
      const { [name]: found } = Object.fromEntries([...exposed].filter(([each]) => each === name));
      expect(found && { name, help: found.help, type: found.type }).toEqual({ name, help, type });
      expect(byLabels(found.values)).toEqual(byLabels(values));
    }
    const names = [...exposed.keys()].filter(each => each.startsWith(`s${seed}_`));
    expect(names.sort()).toEqual(wanted.map(each => each.name).sort());
  } catch (error) {
    throw new Error(`METRICS_SEED=${seed}: ${(error as Error).message}`);
  }
}

/** Three processes, the oldest first: that is the order for `first`. */
async function byAge(all: Processes): Promise<Process[]> {
  const { primary, workers } = await all.group(MEMBERS - 1);
  const known = [primary, ...workers];
  const listed = await primary.run<{ pid: number; startedAt: number }[]>('members');
  const age = ({ pid }: Process) => listed.find(each => each.pid === pid)?.startedAt ?? 0;
  return known.sort((a, b) => age(a) - age(b) || a.pid - b.pid);
}

/** One program in several processes: the same metrics, used in other ways. */
function registryOf(client: Client, seed: number, member: number): ClientRegistry {
  let random = randomFrom(seed);
  const registry = newRegistry(client);
  const application = new RandomApplication(client, registry, () => random(), [undefined]);
  for (let i = 0; i < 6; i++) {
    application.define(`s${seed}_metric_${i}`);
  }
  random = randomFrom(seed * 1000 + member);
  const used = Math.floor(random() * STEPS);
  for (let i = 0; i < used; i++) {
    application.use();
  }
  if (random() < 0.2) {
    registry.removeSingleMetric(`s${seed}_metric_${Math.floor(random() * 6)}`);
  }
  return registry;
}

/** Zero has no sign in the text format; the order of labels says nothing. */
function byLabels(values: Exposed['values']): Record<string, number> {
  const entries = values.map(({ name, labels, value }) => [
    name + JSON.stringify(Object.entries(labels).sort()),
    value + 0,
  ]);
  return Object.fromEntries(entries.sort());
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}
