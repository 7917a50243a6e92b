import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Application } from '../support/application';
import { freePorts } from '../support/http';
import { killAll, runToEnd, start } from '../support/processes';
import { projectFolder } from '../support/project';

const root = join(__dirname, '..', '..');
const project = projectFolder('v4');
// Inside the project, so that its packages are found.
const folder = join(project, 'readme');

afterAll(async () => {
  await killAll();
  rmSync(folder, { recursive: true, force: true });
});

/** The code blocks that begin with the name of their file. */
function files(): Map<string, string> {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(/```ts\n\/\/ (\S+)\n([\s\S]*?)```/g)];
  return new Map(blocks.map(([, name, code]) => [name, code]));
}

test("README's application compiles and does what README says", async () => {
  const blocks = files();
  expect([...blocks.keys()]).toEqual([
    'src/configuration.ts',
    'src/service/visits.ts',
    'src/controller/home.ts',
    'src/service/jobs.ts',
    'src/service/limits.ts',
  ]);
  rmSync(folder, { recursive: true, force: true });
  for (const [name, code] of blocks) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), code);
  }
  for (const name of ['bootstrap.js', 'manager.js', 'package.json']) {
    cpSync(join(project, name), join(folder, name));
  }
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const options =
    '--target ES2022 --module commonjs --moduleResolution node10 --experimentalDecorators --emitDecoratorMetadata ' +
    '--useDefineForClassFields false --strict --strictPropertyInitialization false --skipLibCheck --types node ' +
    '--rootDir src --outDir dist';
  const sources = [...blocks.keys()];
  const typeRoots = ['--typeRoots', join(root, 'node_modules', '@types')];
  const compiled = await runToEnd([tsc, ...options.split(' '), ...typeRoots, ...sources], { cwd: folder });
  expect(compiled.output).toBe('');

  const [port] = await freePorts(1);
  start(['manager.js'], { cwd: folder, env: { WORKERS: '3', MIDWAY_HTTP_PORT: String(port) } });
  const application = new Application([port], 3);
  await application.fromEach('/');
  const answers: { visits: number; pid: number; role: string }[] = [];
  for (let i = 0; i < 12; i++) {
    answers.push(await application.get('/'));
  }
  const first = answers[0].visits;
  expect(answers.map(answer => answer.visits - first)).toEqual(answers.map((_, i) => i));
  expect(new Set(answers.map(answer => answer.pid)).size).toBeGreaterThan(1);
  const roles = new Map(answers.map(answer => [answer.pid, answer.role]));
  expect([...roles.values()].filter(role => role === 'primary').length).toBeLessThanOrEqual(1);
});
