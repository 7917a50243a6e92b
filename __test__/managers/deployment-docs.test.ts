/** What docs/deployment.md shows, and the health route of docs/health.md under Midway's development command. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { DEFAULTS } from '../../ts/config';
import { Application } from '../support/application';
import { blocksOf, DocumentedApp, filesOf } from '../support/documented';
import { freePorts, get, request } from '../support/http';
import { Pm2 } from '../support/pm2';
import { killAll, runToEnd, start } from '../support/processes';
import { type ProjectName, projectFolder } from '../support/project';

const root = join(__dirname, '..', '..');
const app = new DocumentedApp('deployment');
const PAGE = 'docs/deployment.md';
const UNIT_TEST = 'test/visits.test.ts';

afterEach(async () => {
  await killAll();
  app.remove();
});

/** README's application with what the page adds to it. */
function documented(port: number): Map<string, string> {
  const files = new Map([...filesOf('README.md'), ...filesOf(PAGE)]);
  for (const name of ['src/service/jobs.ts', 'src/service/limits.ts', 'src/config/config.default.ts', UNIT_TEST]) {
    files.delete(name);
  }
  const configuration = files.get('src/configuration.ts') as string;
  return files.set('src/configuration.ts', configuration.replace('7001', String(port)));
}

test('the unit test of the page runs as the page says', async () => {
  const [port] = await freePorts(1);
  expect(await app.compile(documented(port))).toBe('');
  write(UNIT_TEST, filesOf(PAGE).get(UNIT_TEST) as string);
  const own = createRequire(join(root, 'jest.config.js'))('./jest.config.js').projects[0].transform;
  const [[files, [transformer, options]]] = Object.entries(own) as [string, [string, object]][];
  const transform = { [files]: [require.resolve(transformer), options] };
  write('jest.config.json', JSON.stringify({ rootDir: app.folder, testEnvironment: 'node', transform }));
  const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  // As the projects that Midway generates set it for jest.
  const env = { NODE_ENV: 'unittest', MIDWAY_TS_MODE: 'true' };
  const { code, output } = await runToEnd([jest, '--config', 'jest.config.json'], { cwd: app.folder, env });
  expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('4 passed, 4 total') });
});

test("pm2 starts and reloads the page's application, and leaves it the time that it needs to stop", async () => {
  const [port] = await freePorts(1);
  expect(await app.compile(documented(port))).toBe('');
  const recipe = blocksOf(PAGE).find(({ language }) => language === 'js')?.code as string;
  write('ecosystem.config.js', recipe);
  const [{ name, instances, kill_timeout }] = createRequire(join(app.folder, 'x.js'))('./ecosystem.config.js').apps;
  expect(kill_timeout).toBeGreaterThan(DEFAULTS.stopTimeout + 1_000);
  const pm2 = new Pm2();
  try {
    await pm2.run('start', join(app.folder, 'ecosystem.config.js'));
    const application = new Application([port], instances);
    const before = (await pm2.list()).map(({ pid }) => pid);
    await pm2.run('reload', name);
    const after = await pm2.list();
    expect(after.map(({ status }) => status)).toEqual(before.map(() => 'online'));
    expect(after.filter(({ pid }) => before.includes(pid))).toEqual([]);
    const roles = await application.fromEach<{ pid: number; threadId: number; role: string }>('/');
    expect(roles.filter(({ role }) => role === 'primary').length).toBe(1);
  } finally {
    await pm2.kill();
  }
}, 120_000);

const DEVELOPED = `
import * as core from '@midwayjs/core';
import { Configuration } from '@midwayjs/core';
import * as koa from '@midwayjs/koa';
import * as processAgent from '@midwayjs/process-agent';

const { CommonJSFileDetector } = core as unknown as { CommonJSFileDetector?: new () => unknown };
const detector = CommonJSFileDetector ? { detector: new CommonJSFileDetector() as never } : {};

@Configuration({
  ...detector,
  imports: [koa, processAgent] as never[],
  importConfigs: [{ default: { keys: 'not-secret' } }],
})
export class MainConfiguration {
  async onHealthCheck() {
    return { status: process.env.IS_ILL !== 'yes', reason: 'it is ill' };
  }
}
`;

test.each<ProjectName>(['v3', 'v4'])(
  'the health route of the page works under @midwayjs/mock/app, Midway %s',
  async v => {
    const developed = new DocumentedApp('developed', v);
    try {
      const controller = 'src/controller/health.ts';
      const files = new Map([[controller, filesOf('docs/health.md').get(controller) as string]]);
      expect(await developed.compile(files.set('src/configuration.ts', DEVELOPED))).toBe('');
      for (const [ill, status] of [
        ['no', 200],
        ['yes', 503],
      ] as const) {
        const [port] = await freePorts(1);
        const mock = join(projectFolder(v), 'node_modules', '@midwayjs', 'mock', 'app.js');
        const env = { NODE_ENV: 'local', MIDWAY_HTTP_PORT: String(port), IS_ILL: ill };
        // It tells mwtsc, which starts it, that it listens.
        const running = start([mock], { cwd: developed.folder, env, channel: true });
        await running.message('that it listens');
        expect(await get(port, '/live')).toMatchObject({ pid: running.pid });
        const health = await request(port, '/health');
        expect(health).toMatchObject({ status });
        expect(JSON.parse(health.body)).toMatchObject({ status: status === 200 });
        await running.kill();
      }
    } finally {
      developed.remove();
    }
  },
);

function write(name: string, text: string): void {
  const file = join(app.folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
