import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Application } from '../support/application';
import { DocumentedApp, filesOf, textOf } from '../support/documented';
import { removeTemporaryFolders, temporaryFolder } from '../support/folders';
import { freePorts, get } from '../support/http';
import { killAll, start } from '../support/processes';
import { until } from '../support/until';

const app = new DocumentedApp('readme');

afterAll(async () => {
  await killAll();
  app.remove();
  removeTemporaryFolders();
});

/** Its text says, without a block of code, how JobService is made in every process. */
function withJobs(files: Map<string, string>): Map<string, string> {
  const name = 'src/configuration.ts';
  const [, hook] = textOf('README.md').match(/`(async onReady\(container\) \{.*\})`/) as string[];
  const typed = hook.replace('(container)', "(container: import('@midwayjs/core').IMidwayContainer)");
  const code = (files.get(name) as string).replace('MainConfiguration {}', `MainConfiguration {\n  ${typed}\n}`);
  return new Map([...files, [name, `import { JobService } from './service/jobs';\n${code}`]]);
}

/** What README's Limits say that a warning names. */
const PLAIN = `
import { Provide } from '@midwayjs/core';
import { RunInPrimary } from '@midwayjs/process-agent';

@Provide()
export class PlainService {
  @RunInPrimary()
  count(): number {
    return 1;
  }
}
`;

/** README's files, with nothing changed but the port: what the application needs to listen is there. */
function filesWithPort(port: number): Map<string, string> {
  const files = filesOf('README.md');
  files.set('src/configuration.ts', files.get('src/configuration.ts')?.replace('7001', String(port)) as string);
  return files;
}

test("README's application compiles and does what README says", async () => {
  const [port] = await freePorts(1);
  const files = filesWithPort(port);
  expect([...files.keys()]).toEqual([
    'src/configuration.ts',
    'src/service/visits.ts',
    'src/controller/home.ts',
    'src/service/jobs.ts',
    'src/service/limits.ts',
    'src/config/config.default.ts',
  ]);
  expect(await app.compile(withJobs(files))).toBe('');

  const manager = start(['manager.js'], { cwd: app.folder, env: { WORKERS: '3' } });
  const application = new Application([port], 3);
  await application.fromEach('/');
  const answers: { visits: number; pid: number; role: string }[] = [];
  for (let i = 0; i < 12; i++) {
    answers.push(await application.get('/'));
  }
  const before = answers[0].visits;
  expect(answers.map(answer => answer.visits - before)).toEqual(answers.map((_, i) => i));
  expect(new Set(answers.map(answer => answer.pid)).size).toBeGreaterThan(1);
  const roles = new Map(answers.map(answer => [answer.pid, answer.role]));
  expect([...roles.values()].filter(role => role === 'primary').length).toBeLessThanOrEqual(1);
  // Its first primary, which became it before any object was made, knows of it like a later one.
  const led = () => [...manager.output.matchAll(/^pid (\d+) is primary in epoch \d+$/gm)].map(([, pid]) => Number(pid));
  process.kill(await until(() => led()[0], { what: 'what the first primary does' }), 'SIGKILL');
  await until(() => led().length === 2, { what: 'what the next primary does' });
});

/** In `SHOWN`: nothing, what README shows, Midway's own loggers on the console, and those without the agent's. */
const LOGS = `
import log from './config.default';

const shown = { transports: { console: {} } };
const midways = { appLogger: shown, coreLogger: shown };

export default {
  '': {},
  readme: log,
  all: { midwayLogger: { default: shown } },
  app: { midwayLogger: { clients: { appLogger: shown } } },
  core: { midwayLogger: { clients: { coreLogger: shown } } },
  hidden: { midwayLogger: { clients: { ...midways, processAgentLogger: { transports: { console: false } } } } },
}[process.env.SHOWN as string] as object;
`;

test("in production the log is where README says, and on the console where README's configuration or Midway's own logs are", async () => {
  const [port] = await freePorts(1);
  const files = filesWithPort(port);
  const configuration = files.get('src/configuration.ts') as string;
  files.set(
    'src/configuration.ts',
    `import log from './config/logs';\n${configuration.replace('importConfigs: [', 'importConfigs: [{ default: log }, ')}`,
  );
  files.set('src/config/logs.ts', LOGS);
  files.set('src/service/plain.ts', PLAIN);
  expect(await app.compile(files)).toBe('');

  for (const [shown, ...onConsole] of [
    ['', false, false],
    ['readme', true, true],
    ['all', true, true],
    ['app', true, true],
    // Midway's own there: in production from warnings on.
    ['core', false, true],
    ['hidden', false, false],
  ] as const) {
    const home = temporaryFolder('home');
    const group = `readme-${process.pid}-${Date.now()}`;
    const env = { NODE_ENV: 'production', HOME: home, SHOWN: shown, MIDWAY_PROCESS_AGENT_GROUP: group };
    const running = start(['bootstrap.js'], { cwd: app.folder, env });
    await until(() => get(port, '/'), { what: 'the application to answer' });
    // Its log is written when it has stopped.
    running.child.kill('SIGTERM');
    await running.exited;
    const logged = readFileSync(join(home, 'logs', 'project-v4', 'midway-process-agent.log'), 'utf8');
    const lines = [`pid ${running.pid} is primary of`, 'PlainService.count: declared with @RunInPrimary()'];
    expect(lines.map(line => logged.includes(line))).toEqual([true, true]);
    expect([shown, ...lines.map(line => running.output.includes(line))]).toEqual([shown, ...onConsole]);
  }
}, 60_000);
