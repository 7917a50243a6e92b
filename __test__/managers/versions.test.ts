/** Two builds of one application in one group, as there are while a new version is rolled out. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import * as ts from 'typescript';
import { type Deployed, plainNode } from '../support/deployments';
import { killAll } from '../support/processes';
import { projectFolder } from '../support/project';
import { until } from '../support/until';

describe.each(['v3', 'v4'] as const)('a new version beside an old one, Midway %s', project => {
  const folder = path.join(projectFolder(project), 'older');
  let group: string;
  let rounds = 0;
  beforeAll(() => makeOlder(folder));
  beforeEach(() => {
    group = `versions-${process.pid}-${Date.now()}-${++rounds}`;
  });
  afterEach(killAll);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const older = () => plainNode({ project, folder, group, workers: 1 });
  const newer = () => plainNode({ project, group, workers: 1 });
  const get = ({ application }: Deployed, what: string) => application.get<object>(`/stock/${what}`);

  it("calls of methods that the old one's primary does not have fail by name, until the new one is primary", async () => {
    const old = await older();
    const fresh = await newer();
    const primary = await old.application.primary();
    expect(await get(fresh, 'count')).toMatchObject({ version: 1, executedBy: primary.pid });
    const { thrown } = (await get(fresh, 'reserve')) as { thrown: { message: string } };
    expect(thrown).toMatchObject({
      name: 'ProcessAgentError',
      code: 'ERR_AGENT_UNKNOWN_METHOD',
      outcome: 'not-sent',
    });
    expect(thrown.message).toMatch(/StockService\.reserve/);
    expect(thrown.message).toContain(String(primary.pid));

    old.processes[0].child.kill('SIGTERM');
    await old.processes[0].exited;
    const became = await until(async () => (await fresh.application.primary()).pid, { what: 'the new one to lead' });
    expect(await get(fresh, 'count')).toMatchObject({ version: 2, executedBy: became });
    expect(await get(fresh, 'reserve')).toMatchObject({ thrown: { nothing: true } });
  });

  it('the old one goes on to call what both have when the new one is primary', async () => {
    const fresh = await newer();
    const old = await older();
    const { pid } = await fresh.application.primary();
    expect(await get(old, 'count')).toMatchObject({ version: 2, executedBy: pid });
  });
});

/** The project's application with `app/older` in place of what it has. */
function makeOlder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  for (const name of ['bootstrap.js', 'package.json', 'dist']) {
    cpSync(path.join(folder, '..', name), path.join(folder, name), { recursive: true });
  }
  const { outputText } = ts.transpileModule(readFileSync(path.join(__dirname, '../app/older/stock.ts'), 'utf8'), {
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.CommonJS,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      useDefineForClassFields: false,
    },
  });
  writeFileSync(path.join(folder, 'dist', 'service', 'stock.js'), outputText);
}
