/**
 * `@midwayjs/prometheus` 3 in the same application. It asks one process for everything: where a process is not that one,
 * its `@Master()` has replaced the methods of its DataService when the class was made, and answers nothing where there
 * is none (under ClusterManager). In a group each process records what it observes itself, and `getData()`, which its
 * `/metrics` answers with, gives what all of them have recorded.
 */
import type { EngineLogger } from '../engine/engine';
import type { MetricsOptions } from '../interface';
import { type ApplicationContext, forgetModule, listClasses } from '../midway';
import { Problems, reasonOf } from './problems';
import { isRegistry, type Registry, speaksOpenMetrics } from './registry-types';

/** The component's, in Midway's list of components. */
export const PROMETHEUS = 'prometheus';
const CLASS = 'DataService';
/** Under which it lists the classes whose methods it answers to other processes, on a socket of its own. */
const MASTERS = 'prometheus:master';

/** Of the component's DataService, what is used here. All of it is looked for before anything is changed. */
interface DataService extends Methods {
  readonly prometheusConfig: { labels: Record<string, string> };
  readonly userDefinedMetrics: Record<string, UserMetric>;
  /** Of all requests; made by `init()`, which `getUser()` calls unless `bInit` is set. */
  readonly responseSummary: Observer & { registers: unknown[] };
  readonly responseHistogram: Observer;
  bInit: boolean;
  init(): Promise<void>;
}

interface Methods {
  /** A request was answered. */
  getUser(method: string, status: string, path: string, ms: number): Promise<void>;
  define(name: string, type: string, options: { aggregator?: string }): void;
  inc(name: string, labels: object, value?: number): Promise<void>;
  observe(name: string, labels: string[], value: number): Promise<void>;
  set(name: string, value: number): Promise<void>;
  setDiff(name: string, difference: number): Promise<void>;
  getData(): Promise<string>;
}

interface Observer {
  labels(...values: string[]): { observe(value: number): void };
}

interface UserMetric extends Observer {
  aggregator?: string;
  inc(labels: object, value: number): void;
  set(labels: object, value: number): void;
}

const METHODS = ['getUser', 'define', 'inc', 'observe', 'set', 'setDiff', 'getData'] as const;

/** What it asks of the application's part in the group. */
export interface PrometheusHost {
  readonly logger: EngineLogger;
  /** Whether this process has no others. */
  readonly alone: boolean;
  /** What all members say; of one that is alone, `own`. */
  text(options: MetricsOptions, own: () => Promise<string>): Promise<string>;
  /** Tells the others which gauges are counted up and down. */
  tell(names: string[]): void;
}

/** Who stands for a DataService, by the object: two applications of one process share the class. */
const parts = new WeakMap<object, PrometheusPart>();
const prepared = new WeakSet<object>();

/** Takes its part in the component. What is not as it is known here is left alone, with a warning. */
export async function joinPrometheus(
  container: ApplicationContext,
  host: PrometheusHost,
): Promise<PrometheusPart | undefined> {
  try {
    const cls = listClasses(container).find(
      ({ namespace, cls }) => namespace === PROMETHEUS && cls.name === CLASS,
    )?.cls;
    if (!cls) {
      throw new TypeError(`it has no ${CLASS}`);
    }
    const service = await container.getAsync<DataService>(cls as never);
    check(service, cls.prototype);
    if (!host.alone && !service.bInit) {
      await service.init();
      service.bInit = true;
    }
    const registry = host.alone ? undefined : registryOf(service);
    prepare(cls.prototype);
    if (!host.alone) {
      forgetModule(container, MASTERS, cls);
    }
    const part = new PrometheusPart(service, registry, host);
    parts.set(service, part);
    return part;
  } catch (error) {
    host.logger.warn(
      '[process-agent] the component "prometheus" is not as it is known here (@midwayjs/prometheus 3): %s. It is left ' +
        'alone, and its /metrics does not tell of all processes; ProcessMetricsService does.',
      reasonOf(error),
    );
    return undefined;
  }
}

function check(service: DataService, prototype: Methods): void {
  const { prometheusConfig, userDefinedMetrics, bInit, init } = service;
  const missing = METHODS.find(name => typeof prototype[name] !== 'function');
  if (missing || typeof init !== 'function' || typeof bInit !== 'boolean') {
    throw new TypeError(`its ${CLASS} has no ${missing ?? 'init() or bInit'}`);
  }
  if (!isObject(prometheusConfig?.labels) || !isObject(userDefinedMetrics)) {
    throw new TypeError(`its ${CLASS} has no labels or metrics where they should be`);
  }
}

function registryOf({ responseSummary, responseHistogram }: DataService): Registry {
  const registry = responseSummary?.registers?.[0];
  if (!isRegistry(registry) || typeof responseSummary.labels !== 'function' || !isObject(responseHistogram)) {
    throw new TypeError(`its ${CLASS} has no registry after init()`);
  }
  return registry;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** Once for each class: its methods go to whoever stands for the object, if somebody does. */
function prepare(prototype: Methods): void {
  if (prepared.has(prototype)) {
    return;
  }
  prepared.add(prototype);
  const methods = prototype as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const name of METHODS) {
    const original = methods[name];
    methods[name] = function (this: object, ...args: unknown[]) {
      const own = () => original.apply(this, args);
      const part = parts.get(this);
      return part ? part.run(name, args, own) : own();
    };
  }
}

export class PrometheusPart {
  readonly #problems = new Problems();
  /** Gauges that are counted up and down, by the names they were defined with. */
  readonly #counted = new Set<string>();

  constructor(
    private readonly service: DataService,
    /** Where the component's own copy of prom-client keeps its metrics; `undefined` where this process is alone. */
    readonly registry: Registry | undefined,
    private readonly host: PrometheusHost,
  ) {}

  /** `own`: as it was without us. */
  run(name: (typeof METHODS)[number], args: unknown[], own: () => unknown): unknown {
    if (name === 'getData') {
      return this.#text(own as () => Promise<string>);
    }
    if (name === 'define') {
      return this.#define(args as Parameters<Methods['define']>, own);
    }
    return this.registry ? this.#record(name, args) : own();
  }

  /** The gauges that this process knows to be counted up and down. */
  get counted(): string[] {
    return [...this.#counted];
  }

  /** Others count them up and down. */
  learn(names: readonly string[]): void {
    for (const name of names) {
      this.#counted.add(name);
      this.#aggregate(name);
    }
  }

  /** In the format that its route announces. */
  #text(own: () => Promise<string>): Promise<string> {
    const format = this.registry && speaksOpenMetrics(this.registry) ? 'openmetrics' : 'text';
    return this.host.text({ format }, own);
  }

  /** Before, there was one gauge, of the process that all others told: what was set last, or the sum of differences. */
  #define([name, type, { aggregator }]: Parameters<Methods['define']>, own: () => unknown): unknown {
    const result = own();
    if (type === 'Gauge' && aggregator === undefined) {
      this.service.userDefinedMetrics[name].aggregator = 'mostrecent';
      this.#aggregate(name);
    }
    return result;
  }

  #aggregate(name: string): void {
    const metric = this.service.userDefinedMetrics[name];
    if (metric?.aggregator === 'mostrecent' && this.#counted.has(name)) {
      metric.aggregator = 'sum';
    }
  }

  /** As it was, nobody waits for it and nobody is told of a failure: it would end the process. */
  async #record(name: Recorded, args: unknown[]): Promise<void> {
    try {
      (RECORD[name] as (service: DataService, ...args: unknown[]) => void)(this.service, ...args);
      const gauge = String(args[0]);
      if (name === 'setDiff' && !this.#counted.has(gauge)) {
        this.learn([gauge]);
        this.host.tell([gauge]);
      }
    } catch (error) {
      const what = name === 'getUser' ? 'a request' : `${name}('${String(args[0])}')`;
      this.#problems.add(what, `${what} was not recorded: ${reasonOf(error)}`);
      for (const problem of this.#problems.take()) {
        this.host.logger.warn(`[process-agent] @midwayjs/prometheus: ${problem}`);
      }
    }
  }
}

type Recorded = Exclude<keyof Methods, 'define' | 'getData'>;

/** What the methods do in the process that they are meant for. */
const RECORD: { [name in Recorded]: (service: DataService, ...args: Parameters<Methods[name]>) => void } = {
  getUser({ responseSummary, responseHistogram, prometheusConfig }, method, status, path, ms) {
    const values = [method, status, path, ...Object.values(prometheusConfig.labels)];
    responseSummary.labels(...values).observe(ms);
    responseHistogram.labels(...values).observe(ms);
  },
  inc(service, name, labels, value = 1) {
    metricOf(service, name).inc({ ...labels, ...service.prometheusConfig.labels }, value);
  },
  observe(service, name, labels, value) {
    const values = [...labels, ...Object.values(service.prometheusConfig.labels)];
    metricOf(service, name)
      .labels(...values)
      .observe(value);
  },
  set(service, name, value) {
    metricOf(service, name).set({ ...service.prometheusConfig.labels }, value);
  },
  setDiff(service, name, difference) {
    metricOf(service, name).inc({ ...service.prometheusConfig.labels }, difference);
  },
};

function metricOf({ userDefinedMetrics }: DataService, name: string): UserMetric {
  if (!Object.hasOwn(userDefinedMetrics, name)) {
    throw new TypeError('nobody has defined it');
  }
  return userDefinedMetrics[name];
}
