import type { GroupHealth } from '../../ts/interface';
import { Application } from '../support/application';
import { blocksOf, DocumentedApp, filesOf, sourcesOf } from '../support/documented';
import { freePorts, get, request } from '../support/http';
import { sample, scrape } from '../support/metrics';
import { killAll, start } from '../support/processes';
import { until } from '../support/until';

const app = new DocumentedApp('docs');

afterAll(async () => {
  await killAll();
  app.remove();
});

test('the application in examples/, which the demo runs, compiles', async () => {
  const files = sourcesOf('examples/midway-app');
  expect([...files.keys()]).toContain('src/configuration.ts');
  expect(await app.compile(files)).toBe('');
});

/** Puts together what the pages show in parts. */
const CONFIGURATION = `
import { CommonJSFileDetector, Configuration } from '@midwayjs/core';
import * as koa from '@midwayjs/koa';
import * as processAgent from '@midwayjs/process-agent';
import health from './config/config.default';
import metrics from './config/metrics';

@Configuration({
  detector: new CommonJSFileDetector(),
  imports: [koa, processAgent],
  importConfigs: [{ default: { keys: 'not-secret' } }, { default: health }, { default: metrics }],
})
export class MainConfiguration {}
`;

test('the code of docs/metrics.md and docs/health.md compiles as one application, and does what they say', async () => {
  const files = new Map([...filesOf('docs/metrics.md'), ...filesOf('docs/health.md')]);
  expect([...files.keys()].sort()).toEqual([
    'src/config/admin.ts',
    'src/config/config.default.ts',
    'src/config/metrics.ts',
    'src/config/registries.ts',
    'src/controller/health.ts',
    'src/controller/metrics.ts',
  ]);
  files.set('src/configuration.ts', CONFIGURATION);
  // The rest shows an interface: it must be the one that there is.
  const shown = [...blocksOf('docs/metrics.md'), ...blocksOf('docs/health.md')].filter(
    ({ language, name }) => language === 'ts' && !name,
  );
  expect(shown.map(({ code }) => code.split('\n')[0])).toEqual(['interface GroupHealth {']);
  files.set(
    'src/shown.ts',
    `import type { GroupHealth as Real, Member } from '@midwayjs/process-agent';\n${shown[0].code}
    export const there = (real: Real): GroupHealth => real;
    export const back = (shown: GroupHealth): Real => shown;`,
  );
  expect(await app.compile(files)).toBe('');

  const [port] = await freePorts(1);
  start(['manager.js'], { cwd: app.folder, env: { WORKERS: '3', MIDWAY_HTTP_PORT: String(port) } });
  const application = new Application([port], 3);
  await application.fromEach('/live');
  await until(async () => sample(await scrape(application), 'process_agent_members{state="ready"}') === 3, {
    what: 'three members',
  });
  expect((await scrape(application)).contentType).toBe('text/plain; version=0.0.4; charset=utf-8');

  expect(await get(port, '/health')).toEqual({ status: true });
  const { members } = await get<GroupHealth>(port, '/health/group');
  expect(members.map(({ state }) => state)).toEqual(['ok', 'ok', 'ok']);
  // As the policy has it, only a primary that does not run is worth an alarm.
  const worker = members.find(({ member }) => member.role === 'worker');
  process.kill(worker?.member.pid as number, 'SIGSTOP');
  await until(
    async () => {
      const health = JSON.parse((await request(port, '/health/group', { timeout: 1_000 })).body) as GroupHealth;
      return health.members.some(({ state }) => state === 'frozen') && health.status;
    },
    { what: 'a frozen worker, and no alarm' },
  );
});
