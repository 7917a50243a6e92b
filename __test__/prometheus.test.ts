import { format } from 'node:util';
import { Configuration, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import * as processAgent from '../ts';
import { joinPrometheus, type PrometheusHost, type PrometheusPart } from '../ts/metrics/prometheus';
import type { ApplicationContext } from '../ts/midway';
import { load, newRegistry } from './metrics/clients';
import { closeAll, startApp } from './support/light-app';

afterEach(closeAll);

const client = load('prom-client-14');

/** A component of that name whose DataService is as the real one is in a process that would ask another one. */
function component(change: (prototype: Record<string, unknown>) => void = () => {}, className = 'DataService') {
  const registry = newRegistry(client);
  const { [className]: DataService } = {
    [className]: class {
      prometheusConfig: { labels: Record<string, string> } | undefined = { labels: { app: 'shop' } };
      userDefinedMetrics: Record<string, object> = {};
      bInit = false;
      responseSummary: object | undefined;
      responseHistogram: object | undefined;

      async init() {
        const labelNames = ['method', 'status', 'uri', 'app'];
        const common = { help: 'help', labelNames, registers: [registry] };
        this.responseSummary = new client.Summary({ name: 'latency', ...common });
        this.responseHistogram = new client.Histogram({ name: 'duration', ...common });
      }

      define(name: string, type: 'Gauge' | 'Counter', options: object) {
        this.userDefinedMetrics[name] = new client[type]({
          labelNames: ['app'],
          registers: [registry],
          ...options,
        } as never);
      }
    },
  };
  const prototype = DataService.prototype as unknown as Record<string, unknown>;
  for (const name of ['getUser', 'inc', 'observe', 'set', 'setDiff', 'getData']) {
    prototype[name] = async () => `${name}: asked another process`;
  }
  change(prototype);
  Provide()(DataService);
  Scope(ScopeEnum.Singleton)(DataService);
  @Configuration({ namespace: 'prometheus' })
  class PrometheusConfiguration {}
  return { Configuration: PrometheusConfiguration, DataService, registry };
}

interface Data {
  prometheusConfig: object | undefined;
  define(name: string, type: string, options: object): void;
  inc(name: string, labels: object, value?: number): Promise<unknown>;
  set(name: string, value: number): Promise<unknown>;
  setDiff(name: string, value: number): Promise<unknown>;
  getUser(method: string, status: string, path: string, ms: number): Promise<unknown>;
  getData(): Promise<string>;
}

/** An application with that component, and a part in it as if it were one of several. */
async function joined(made: ReturnType<typeof component>, settings: Partial<PrometheusHost> = {}) {
  const warnings: string[] = [];
  const told: string[][] = [];
  const app = await startApp([], {}, { imports: [processAgent, made] });
  const { container } = app.agent as unknown as { container: ApplicationContext };
  const data = (await container.getAsync(made.DataService as never)) as Data;
  const host: PrometheusHost = {
    alone: false,
    logger: { warn: (...args: unknown[]) => warnings.push(format(...args)) } as never,
    text: async () => 'all processes',
    tell: names => told.push(names),
    ...settings,
  };
  const part = (await joinPrometheus(container, host)) as PrometheusPart;
  return { data, part, warnings, told };
}

it('records in this process, and answers with what all processes say', async () => {
  const made = component();
  const { data, part, warnings } = await joined(made);
  data.define('sales', 'Counter', { name: 'sales_total', help: 'Sales' });
  await data.inc('sales', {});
  await data.inc('sales', {}, 2);
  await data.getUser('GET', '200', '/', 4);
  expect(await made.registry.getSingleMetricAsString('sales_total')).toContain('sales_total{app="shop"} 3');
  expect(await made.registry.getSingleMetricAsString('latency')).toMatch(/latency_sum{.*uri="\/",app="shop"} 4/);
  expect(await data.getData()).toBe('all processes');
  expect(part.registry).toBe(made.registry);
  expect(warnings).toEqual([]);
});

it('a gauge is the most recent one, or a sum when somebody counts it up and down, unless its maker says how', async () => {
  const { data, part, told } = await joined(component());
  const aggregator = (name: string) =>
    (data as unknown as { userDefinedMetrics: Record<string, { aggregator: string }> }).userDefinedMetrics[name]
      .aggregator;
  for (const name of ['set', 'counted', 'learnt']) {
    data.define(name, 'Gauge', { name, help: name });
  }
  data.define('greatest', 'Gauge', { name: 'greatest', help: 'greatest', aggregator: 'max' });
  await data.set('set', 3);
  await data.set('counted', 3);
  await data.setDiff('counted', -1);
  await data.setDiff('counted', -1);
  await data.setDiff('greatest', 1);
  part.learn(['learnt', 'defined later']);
  data.define('defined later', 'Gauge', { name: 'later', help: 'later' });
  expect(['set', 'counted', 'learnt', 'greatest', 'defined later'].map(aggregator)).toEqual([
    'mostrecent',
    'sum',
    'sum',
    'max',
    'sum',
  ]);
  expect(told).toEqual([['counted'], ['greatest']]);
  expect(await part.registry?.getMetricsAsArray()).toHaveLength(7);
});

it('what can not be recorded is said once, and ends nothing', async () => {
  const { data, warnings } = await joined(component());
  data.define('sales', 'Counter', { name: 'sales_total', help: 'Sales' });
  await data.inc('sales', {}, -1);
  await data.inc('sales', {}, -1);
  await data.set('constructor', 1);
  expect(warnings).toEqual([
    expect.stringContaining("inc('sales') was not recorded: It is not possible to decrease a counter"),
    expect.stringContaining("set('constructor') was not recorded: nobody has defined it"),
  ]);
});

it('is as it was in a process that is alone, but for asking whether it still is', async () => {
  const { data } = await joined(component(), { alone: true, text: (_, own) => own() });
  expect(await data.inc('sales', {})).toBe('inc: asked another process');
  expect(await data.getData()).toBe('getData: asked another process');
});

it('two applications of one process have each its own part', async () => {
  const made = component();
  const first = await joined(made, { text: async () => 'the first' });
  made.registry.clear();
  const second = await joined(made, { text: async () => 'the second' });
  expect([await first.data.getData(), await second.data.getData()]).toEqual(['the first', 'the second']);
});

describe.each<[string, ReturnType<typeof component>, string]>([
  ['no DataService', component(undefined, 'OtherService'), 'it has no DataService'],
  ['a method less', component(prototype => delete prototype.setDiff), 'its DataService has no setDiff'],
  [
    'another init()',
    component(prototype => {
      prototype.init = async () => {};
    }),
    'its DataService has no registry after init()',
  ],
  [
    'an init() that fails',
    component(prototype => {
      prototype.init = async () => {
        throw new Error('not today');
      };
    }),
    'not today',
  ],
])('a component with %s', (_, made, reason) => {
  it('is left alone, with one warning that says why', async () => {
    const { data, part, warnings } = await joined(made);
    expect(part).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining(`${reason}. It is left alone`)]);
    expect(await data.getData()).toBe('getData: asked another process');
  });
});
