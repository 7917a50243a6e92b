import { CLIENTS, type Client, type ClientRegistry, load, newRegistry } from './metrics/clients';
import { Receiver } from './metrics/receiver';

const TIMEOUT = 60;
const NEVER = () => new Promise<void>(() => {});
const nextTurn = () => new Promise<void>(resolve => setImmediate(resolve));

describe.each(CLIENTS)('callbacks of metrics with %s', name => {
  let client: Client;
  let registry: ClientRegistry;
  let receiver: Receiver;

  beforeEach(() => {
    client = load(name);
    registry = newRegistry(client);
    receiver = new Receiver([registry], { timeout: TIMEOUT });
  });

  const newGauge = (collect: (() => unknown) | undefined, more: object = {}) =>
    new client.Gauge({ name: 'size', help: 'Size', registers: [registry], collect: collect as () => void, ...more });
  const newCounter = (more: object = {}) =>
    new client.Counter({ name: 'jobs_total', help: 'Jobs', registers: [registry], ...more });

  it('a callback runs once for each snapshot, as the metric, before the numbers are read', async () => {
    let calls = 0;
    const gauge = newGauge(function (this: unknown) {
      expect(this).toBe(gauge);
      gauge.set(++calls);
    });
    for (let i = 1; i <= 4; i++) {
      expect(await receiver.samples()).toEqual({ size: i });
      expect(calls).toBe(i);
    }
  });

  it('one callback may set other metrics, as the default metrics do', async () => {
    newGauge(() => other.set(5));
    const other = newGauge(undefined, { name: 'other' });
    expect(await receiver.samples()).toEqual({ size: 0, other: 5 });
  });

  it('a callback that is asynchronous is waited for', async () => {
    let calls = 0;
    const gauge = newGauge(async () => {
      await nextTurn();
      gauge.set(++calls);
    });
    for (let i = 1; i <= 4; i++) {
      expect(await receiver.samples()).toEqual({ size: i });
    }
  });

  it('what is no promise is not waited for: a query would be run by it', async () => {
    const then = jest.fn();
    newGauge(() => ({ then }));
    for (let i = 0; i < 3; i++) {
      expect(await receiver.samples()).toEqual({ size: 0 });
    }
    expect(then).not.toHaveBeenCalled();
  });

  it.each([
    [
      'throws',
      (error: unknown) => {
        throw error;
      },
    ],
    ['rejects', (error: unknown) => Promise.reject(error)],
  ])('one that %s costs its own metric only, which keeps its last values, and is named once', async (_, fail) => {
    let failing = false;
    const gauge = newGauge(() => {
      gauge.set(1);
      if (failing) {
        gauge.set(99);
        return fail(new Error('no database\nat all'));
      }
      return undefined;
    });
    const counter = newCounter();
    for (let i = 1; i <= 3; i++) {
      counter.inc();
      expect(await receiver.samples()).toEqual({ size: 1, jobs_total: i });
    }
    failing = true;
    for (let i = 4; i <= 6; i++) {
      counter.inc();
      expect(await receiver.samples()).toEqual({ size: 1, jobs_total: i });
    }
    expect(receiver.problems).toEqual(['the metric size has failed, its last values are used: no database']);
    failing = false;
    gauge.set(2);
    expect(await receiver.samples()).toEqual({ size: 1, jobs_total: 6 });
    expect(receiver.schemas).toBe(1);
  });

  it('one that fails from the beginning leaves its metric out, whatever it throws, until it works', async () => {
    let thrown: unknown = Object.create(null);
    newGauge(() => {
      if (thrown) {
        throw thrown;
      }
    });
    newCounter();
    expect(await receiver.samples()).toEqual({ jobs_total: 0 });
    thrown = undefined;
    expect(await receiver.samples()).toEqual({ size: 0, jobs_total: 0 });
    expect(receiver.problems).toHaveLength(1);
  });

  it('one that hangs is waited for once, within bounds, and is not called again before it has ended', async () => {
    let finish: (() => void) | undefined;
    let calls = 0;
    let hanging = false;
    const gauge = newGauge(() => {
      calls++;
      // As many do that ask a database: for a while it says nothing.
      gauge.reset();
      if (hanging) {
        return new Promise<void>(resolve => {
          finish = resolve;
        });
      }
      gauge.set(calls);
      return undefined;
    });
    const counter = newCounter();
    await receiver.samples();
    expect(await receiver.samples()).toEqual({ size: 2, jobs_total: 0 });
    hanging = true;
    counter.inc();
    const begin = performance.now();
    expect(await receiver.samples()).toEqual({ size: 2, jobs_total: 1 });
    expect(performance.now() - begin).toBeGreaterThan(TIMEOUT - 5);
    const again = performance.now();
    for (let i = 0; i < 3; i++) {
      expect(await receiver.samples()).toEqual({ size: 2, jobs_total: 1 });
    }
    expect(performance.now() - again).toBeLessThan(TIMEOUT);
    expect(calls).toBe(3);
    const problem = `the metric size has not answered within ${TIMEOUT} ms; its last values are used until it does`;
    expect(receiver.problems).toEqual([problem]);
    hanging = false;
    finish?.();
    await nextTurn();
    expect(await receiver.samples()).toEqual({ size: 4, jobs_total: 1 });
  });

  it('one that hangs from the beginning leaves its metric out, and others are not kept waiting for long', async () => {
    newGauge(NEVER);
    newGauge(NEVER, { name: 'other' });
    newCounter();
    const begin = performance.now();
    expect(await receiver.samples()).toEqual({ jobs_total: 0 });
    expect(performance.now() - begin).toBeLessThan(TIMEOUT * 5);
    expect(receiver.problems).toHaveLength(2);
  });

  it('what counts goes on counting while its callback hangs', async () => {
    let hanging = false;
    const counter = newCounter({ collect: () => (hanging ? NEVER() : undefined) });
    await receiver.samples();
    await receiver.samples();
    hanging = true;
    for (let i = 1; i <= 3; i++) {
      counter.inc();
      expect(await receiver.samples()).toEqual({ jobs_total: i });
    }
  });
});
