/** Labels of a series that an application changes while the series stays: what the library's own text says is right. */
import { CLIENTS, load, newRegistry } from './metrics/clients';
import { readExposition } from './metrics/exposition';
import { Receiver } from './metrics/receiver';

describe.each(CLIENTS)('with %s', name => {
  const client = load(name);
  const labelNames = ['route', 'code'];

  it.each([null, undefined, ''])(
    'a histogram that is set to zero with other labels has those: from %p on',
    async from => {
      const registry = newRegistry(client);
      const registers = [registry];
      const histogram = new client.Histogram({ name: 'd', help: 'D', labelNames, buckets: [1], registers });
      const receiver = new Receiver(registers);
      for (const route of [from, null, '', undefined, from]) {
        histogram.zero({ route, code: 200 } as never);
        for (let i = 0; i < 2; i++) {
          expect(await samplesOf(receiver)).toEqual(textOf(await registry.metrics()));
        }
      }
    },
  );

  it.each([
    [{ code: 200 }, { code: '200', route: undefined }],
    [
      { code: 200, route: 'a,b' },
      { code: '200', route: 'a,b' },
    ],
    [
      { code: '1,route:2', route: '3' },
      { code: '1', route: '2,route:3' },
    ],
  ])('a gauge that was set with %p and then with %p says the same as the text', async (first, then) => {
    const registry = newRegistry(client);
    const registers = [registry];
    const gauge = new client.Gauge({ name: 'g', help: 'G', labelNames, registers });
    const receiver = new Receiver(registers);
    registry.setDefaultLabels({ app: 'shop' });
    gauge.set(first as never, 1);
    // In 14 and 15 this writes the default label into the gauge's own labels.
    await registry.getMetricsAsJSON();
    await receiver.families();
    for (const labels of [then, first, then]) {
      gauge.set(labels as never, 2);
      for (let i = 0; i < 2; i++) {
        expect(await samplesOf(receiver)).toEqual(textOf(await registry.metrics()));
      }
    }
  });
});

/** By name and labels; a histogram's series in any order. */
async function samplesOf(receiver: Receiver): Promise<object> {
  return byName((await receiver.families()).flatMap(({ values }) => values));
}

function textOf(text: string): object {
  return byName([...readExposition(text).values()].flatMap(({ values }) => values));
}

function byName(values: readonly { name: string; labels: object; value: number }[]): object {
  return Object.fromEntries(
    values.map(({ name, labels, value }) => [name + JSON.stringify(Object.entries(labels).sort()), value]),
  );
}
