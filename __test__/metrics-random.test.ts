import { CLIENTS, load, newRegistry } from './metrics/clients';
import { RandomApplication, randomFrom } from './metrics/random';
import { expected, Receiver } from './metrics/receiver';

/** `METRICS_SEEDS=1000` for a longer test. */
const SEEDS = Number(process.env.METRICS_SEEDS ?? 10);
const STEPS = 100;

describe.each(CLIENTS)('with %s', name => {
  const client = load(name);

  it.each([
    ['without quantiles', false],
    ['with quantiles', true],
  ])('schema and numbers say what getMetricsAsJSON() says, whatever was done before, %s', async (_, quantiles) => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = randomFrom(seed + (quantiles ? 1000 : 0));
      const registry = newRegistry(client);
      const application = new RandomApplication(client, registry, random);
      const receiver = new Receiver([registry], { quantiles });
      for (let step = 0; step < STEPS; step++) {
        application.step();
        if (random() < 0.5) {
          const told = await receiver.families();
          try {
            expect(told).toEqual(await expected(registry, quantiles));
          } catch (error) {
            throw new Error(`seed ${seed}, step ${step}: ${(error as Error).message}`);
          }
        }
      }
      expect(receiver.problems.filter(problem => !problem.includes('same labels'))).toEqual([]);
    }
  });

  it('the default metrics are collected, though their callbacks set them anew each time', async () => {
    const registry = newRegistry(client);
    client.collectDefaultMetrics({ register: registry as never });
    const receiver = new Receiver([registry]);
    const names = (await registry.getMetricsAsJSON()).map(metric => metric.name);
    for (let i = 0; i < 5; i++) {
      const families = await receiver.families();
      expect(families.map(family => family.name)).toEqual(names);
      const rss = families.find(family => family.name === 'process_resident_memory_bytes');
      expect(rss?.values[0].value).toBeGreaterThan(1e7);
    }
    expect(receiver.problems).toEqual([]);
    registry.clear();
  });
});
