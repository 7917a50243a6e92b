/** A client library inside of a bundle: the application's metrics are not found, and somebody has to say so. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { builtinModules, createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { minifySync } from '@swc/core';
import { ProcessMetricsService } from '../ts';
import { resolveConfig } from '../ts/config';
import { EngineMetrics } from '../ts/engine/metrics';
import { bundledClient } from '../ts/metrics/bundled-client';
import { CLIENTS, load, newRegistry } from './metrics/clients';
import { closeAll, startApp } from './support/light-app';
import { recordLog } from './support/log';
import { until } from './support/until';

let folder: string;
const [entry] = process.argv.slice(1);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bundled-client-'));
});
afterEach(async () => {
  process.argv[1] = entry;
  await closeAll();
  jest.restoreAllMocks();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A program that is all of a package's modules in one file, as a bundler makes it. */
function bundleOf(client: string, minify: boolean, before = ''): string {
  const modules = new Map<string, string>();
  const add = (file: string): number => {
    if (!modules.has(file)) {
      modules.set(file, '');
      const from = createRequire(file);
      const code = readFileSync(file, 'utf8').replace(/\brequire\((['"])([^'"]+)\1\)/g, (whole, _, name) =>
        builtinModules.includes(name.replace('node:', '')) ? whole : `load(${add(from.resolve(name))})`,
      );
      modules.set(file, file.endsWith('.json') ? `module.exports = ${code}` : code);
    }
    return [...modules.keys()].indexOf(file);
  };
  add(createRequire(__filename).resolve(client));
  const functions = [...modules.values()].map(code => `function (module, exports, load) {\n${code}\n}`);
  const code = `const modules = [${functions.join(',\n')}], loaded = [];
function load(at) {
  if (!loaded[at]) { loaded[at] = { exports: {} }; modules[at](loaded[at], loaded[at].exports, load); }
  return loaded[at].exports;
}
load(0).collectDefaultMetrics();`;
  const file = join(folder, `${client.replace(/\W/g, '-')}-${minify}-${before.length}.js`);
  writeFileSync(file, before + (minify ? minifySync(code, { compress: true, mangle: true }).code : code));
  return file;
}

describe.each(CLIENTS)('%s in a bundle', client => {
  it.each([
    ['as it is', false],
    ['minified', true],
  ])('is found, %s', async (_, minify) => {
    expect(await bundledClient([bundleOf(client, minify)])).toBe(bundleOf(client, minify));
  });

  it('is found wherever it is in a large file', async () => {
    const text = readFileSync(bundleOf(client, true), 'latin1');
    // The piece that is read first ends in the middle of the text that is looked for.
    const at = text.indexOf('getMetricsReq');
    const before = `/*${' '.repeat(1024 * 1024 - at - 9)}*/`;
    const file = bundleOf(client, true, before);
    expect(await bundledClient([file])).toBe(file);
  });
});

it('is not found in a program without one, where it is installed, nor in this package itself', async () => {
  const own = join(folder, 'own.js');
  const sources = (from: string): string[] =>
    readdirSync(from, { withFileTypes: true }).flatMap(each =>
      each.isDirectory() ? sources(join(from, each.name)) : [readFileSync(join(from, each.name), 'utf8')],
    );
  writeFileSync(own, sources(join(__dirname, '..', 'ts')).join('\n'));
  const installed = join(folder, 'node_modules', 'x', 'bundle.js');
  mkdirSync(dirname(installed), { recursive: true });
  writeFileSync(installed, readFileSync(bundleOf(CLIENTS[1], true)));
  expect(await bundledClient([own, installed, __filename, join(folder, 'none.js'), folder, 'relative.js', ''])).toBe(
    undefined,
  );
});

test('an application whose client was bundled is told to name its registry, once, when somebody asks', async () => {
  process.argv[1] = bundleOf(CLIENTS[1], true);
  const { lines, hooks } = recordLog();
  const metrics = await (await startApp([], {}, hooks)).get(ProcessMetricsService);
  const isTold = (line: string) => line.includes('processAgent.metrics.registries');
  expect(lines.filter(isTold)).toEqual([]);
  await metrics.getMetrics();
  await until(() => lines.some(isTold), { what: 'the warning', every: 5 });
  await metrics.getMetrics();
  expect(lines.filter(isTold)).toEqual([expect.stringContaining(process.argv[1])]);
});

test.each([
  ['has no client at all', () => entry, {}],
  ['has named its registries', () => bundleOf(CLIENTS[1], true), { metrics: { registries: [] } }],
  [
    'has given a function',
    () => bundleOf(CLIENTS[1], true),
    { metrics: { registries: () => [newRegistry(load(CLIENTS[1]))] } },
  ],
])('an application that %s is told nothing', async (_, program, config) => {
  process.argv[1] = program();
  const { lines, hooks } = recordLog();
  const metrics = await (await startApp([], config, hooks)).get(ProcessMetricsService);
  await metrics.getMetrics();
  // As long as it takes where it is found.
  await bundledClient([bundleOf(CLIENTS[1], true)]);
  expect(lines.filter(line => line.includes('registries'))).toEqual([]);
});

test('in a group the primary hears that somebody asks, whoever does', () => {
  let asked = 0;
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  const host = { registries: () => [], scraped: () => asked++, logger };
  const agent = { bytesIn: 0, bytesOut: 0, sayMetrics: () => true };
  const metrics = new EngineMetrics(
    resolveConfig(undefined),
    host as never,
    agent,
    () => 0,
    () => 'none',
    () => {},
  );
  metrics.join(7, () => {}, 100_000);
  expect(asked).toBe(0);
  metrics.answer(7, 1, Number.MAX_VALUE);
  expect(asked).toBe(1);
  metrics.leave();
});
