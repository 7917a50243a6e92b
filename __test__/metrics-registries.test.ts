import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ModuleKind, ScriptTarget, transpile } from 'typescript';
import { DefaultRegistries } from '../ts/metrics/default-registries';
import type { Registry } from '../ts/metrics/registry-types';
import { load, newRegistry } from './metrics/clients';
import { Receiver } from './metrics/receiver';

describe('strange registries', () => {
  const strange = (...registries: unknown[]) => new Receiver(registries as Registry[]);
  const holding = (...metrics: unknown[]) => ({ getMetricsAsArray: () => metrics as object[] });
  const metric = (name: string, more: object = {}) => ({ name, get: async () => json(name, more) });
  const json = (name: string, more: object = {}) => ({
    name,
    help: 'Help',
    type: 'gauge',
    values: [{ value: 1 }],
    ...more,
  });

  it('what is no registry, or fails as one, costs itself only and is named once', async () => {
    const fails = {
      getMetricsAsArray() {
        throw new Error('not today');
      },
    };
    const receiver = strange(null, 7, {}, fails, holding(metric('fine')));
    for (let i = 0; i < 3; i++) {
      expect(await receiver.samples()).toEqual({ fine: 1 });
    }
    expect(receiver.problems).toEqual([
      'what was given as a registry is none of prom-client: it is left out',
      'a registry is left out: not today',
    ]);
  });

  it('what is no metric, or says what nobody understands, costs itself only and is named once', async () => {
    const receiver = strange(
      holding(
        null,
        { name: 'silent' },
        metric('1st'),
        metric('odd', { type: 'rate' }),
        metric('empty', { values: undefined }),
        metric('nothing', { values: 7 }),
        { name: 'absent', get: async () => undefined },
        metric('suffix', { values: [{ value: 1, metricName: 'suffix_p99' }] }),
        metric('label', { values: [{ value: 1, labels: { 'a-b': 1 } }] }),
        metric('symbol', { values: [{ value: 1, labels: { a: Symbol('x') } }] }),
        metric('bound', { type: 'histogram', values: [{ value: 1, labels: { le: 'x' }, metricName: 'bound_bucket' }] }),
        metric('unbound', { type: 'histogram', values: [{ value: 1, metricName: 'unbound_bucket' }] }),
        { name: 'fine', get: () => json('fine', { values: [{ value: '2', labels: { a: null } }] }) },
      ),
    );
    for (let i = 0; i < 3; i++) {
      expect(await receiver.samples()).toEqual({ 'fine{a="null"}': 2 });
    }
    const named = receiver.problems.map(problem => /^the metric (\S+) is left out: ./.exec(problem)?.[1]);
    const strangers = ['undefined', 'silent', '1st', 'odd', 'nothing', 'absent', 'suffix', 'label', 'symbol'];
    expect(named).toEqual([...strangers, 'bound', 'unbound']);
  });

  it('internals that become others than those known are not read any more', async () => {
    const registry = newRegistry(load('prom-client-15'));
    const { Histogram, Counter } = load('prom-client-15');
    const counter = new Counter({ name: 'jobs_total', help: 'Jobs', registers: [registry] });
    const histogram = new Histogram({ name: 'd', help: 'D', buckets: [1], registers: [registry] });
    const receiver = new Receiver([registry]);
    const both = { 'd_bucket{le="1"}': 0, 'd_bucket{le="+Inf"}': 0, d_sum: 0, d_count: 0 };
    for (let i = 0; i < 3; i++) {
      expect(await receiver.samples()).toEqual({ jobs_total: 0, ...both });
    }
    Object.assign(histogram, { hashMap: { '': {} }, get: async () => ({ ...json('d'), type: 'gauge' }) });
    counter.inc();
    for (let i = 0; i < 3; i++) {
      expect(await receiver.samples()).toEqual({ jobs_total: 1, d: 1 });
    }
  });

  it('a list of registries that cannot be had is a problem, not an error', async () => {
    const receiver = new Receiver([]);
    Object.assign(receiver, {
      collector: new (receiver.collector.constructor as never as FailingCollector)(() => {
        throw new Error('no list');
      }),
    });
    expect(await receiver.samples()).toEqual({});
    expect(receiver.problems).toEqual(['there is no list of registries: no list']);
  });

  it('more series than anybody takes are left out by whole metrics', async () => {
    const values = Array.from({ length: 60_000 }, (_, i) => ({ value: i, labels: { a: i } }));
    const receiver = strange(holding(metric('one', { values }), metric('two', { values }), metric('three')));
    expect((await receiver.families()).map(family => family.name)).toEqual(['one', 'three']);
    expect(receiver.problems).toEqual([
      expect.stringMatching(/^the metric two and maybe others are left out: at most/),
    ]);
  });
});

type FailingCollector = new (registries: () => never) => Receiver['collector'];

describe('the default registries', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'registries-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const register = () => ({ getMetricsAsArray: () => [] });
  const cacheOf = (exports: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(exports).map(([file, each]) => [join(folder, file), { exports: each }]));

  it('are those of every copy that is loaded, each once, the application’s own first', () => {
    const [own, nested, successor] = [register(), register(), register()];
    const file = 'app/node_modules/prom-client/index.js';
    for (const each of ['app', 'app/node_modules/prom-client']) {
      mkdirSync(join(folder, each), { recursive: true });
    }
    cpSync(require.resolve('prom-client-15'), join(folder, file));
    const cache = cacheOf({
      'a/node_modules/prom-client/index.js': { register: nested },
      'a/node_modules/@prometheus-io/client/index.js': { register: successor },
      'b/node_modules/prom-client/index.js': { register: own },
      'c/node_modules/prom-client/index.js': undefined,
      'd/node_modules/prom-client/index.js': { register: {} },
      'e/node_modules/not-prom-client/index.js': { register: register() },
      'e/node_modules/prom-client/lib/index.js': { register: register() },
      [file]: { register: own },
    });
    expect(new DefaultRegistries(join(folder, 'app'), cache).list()).toEqual([own, successor, nested]);
    expect(new DefaultRegistries(join(folder, 'app'), cache).list()[0]).toBe(own);
    expect(new DefaultRegistries(undefined, cache).list()[0]).toBe(successor);
  });

  it('are looked for again after a while, because a copy may be loaded late', () => {
    const cache = cacheOf({});
    const [at, once] = [new DefaultRegistries(folder, cache, 0), new DefaultRegistries(folder, cache)];
    expect([at.list(), once.list()]).toEqual([[], []]);
    Object.assign(cache, cacheOf({ 'node_modules/prom-client/index.js': { register: register() } }));
    expect([at.list().length, once.list().length]).toEqual([1, 0]);
  });

  it('of a real copy are found whether it was required or imported, and none is loaded for it', () => {
    const project = join(folder, 'app');
    for (const [alias, name] of [
      ['prom-client-15', 'prom-client'],
      ['tdigest', 'tdigest'],
      ['bintrees', 'bintrees'],
    ]) {
      cpSync(packageFolder(alias), join(project, 'node_modules', name), { recursive: true });
    }
    mkdirSync(join(project, 'node_modules/@opentelemetry'));
    cpSync(packageFolder('@opentelemetry/api'), join(project, 'node_modules/@opentelemetry/api'), { recursive: true });
    for (const file of ['default-registries', 'registry-types']) {
      const source = readFileSync(join(__dirname, `../ts/metrics/${file}.ts`), 'utf8');
      writeFileSync(
        join(folder, `${file}.js`),
        transpile(source, { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022 }),
      );
    }
    const program = `
      const { DefaultRegistries } = require('../default-registries');
      (async () => {
        const registries = new DefaultRegistries(process.cwd(), require.cache, 0);
        const before = registries.list().length;
        const { register } = LOAD;
        console.log(before, registries.list().length, registries.list()[0] === register);
      })();`;
    for (const how of ["require('prom-client')", "await import('prom-client')"]) {
      const done = spawnSync(process.execPath, ['-e', program.replace('LOAD', how)], {
        cwd: project,
        encoding: 'utf8',
      });
      expect(done.stderr).toBe('');
      expect(done.stdout).toBe('0 1 true\n');
    }
  });
});

function packageFolder(name: string): string {
  const file = require.resolve(name);
  const marker = join('node_modules', ...name.split('/'));
  return file.includes(marker) ? file.slice(0, file.indexOf(marker) + marker.length) : dirname(file);
}
