import { Application } from '../support/application';
import { DocumentedApp, filesOf } from '../support/documented';
import { freePorts } from '../support/http';
import { killAll, start } from '../support/processes';

const app = new DocumentedApp('readme');

afterAll(async () => {
  await killAll();
  app.remove();
});

test("README's application compiles and does what README says", async () => {
  const files = filesOf('README.md');
  expect([...files.keys()]).toEqual([
    'src/configuration.ts',
    'src/service/visits.ts',
    'src/controller/home.ts',
    'src/service/jobs.ts',
    'src/service/limits.ts',
  ]);
  // Nothing but another port: what it needs to listen is in the example.
  const [port] = await freePorts(1);
  const configuration = files.get('src/configuration.ts') as string;
  files.set('src/configuration.ts', configuration.replace('7001', String(port)));
  expect(await app.compile(files)).toBe('');

  start(['manager.js'], { cwd: app.folder, env: { WORKERS: '3' } });
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
