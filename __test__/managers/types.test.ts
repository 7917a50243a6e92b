/** The package's types, as a project sees them that checks the types of what it imports. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { removeTemporaryFolders, temporaryFolder } from '../support/folders';
import { projectFolder } from '../support/project';

const root = path.join(__dirname, '..', '..');

jest.setTimeout(120_000);
afterAll(removeTemporaryFolders);

function check(project: 'v3' | 'v4', source: string): string[] {
  const file = path.join(temporaryFolder('types'), 'index.ts');
  writeFileSync(file, source);
  const tsconfig = path.join(path.dirname(file), 'tsconfig.json');
  const modules = path.join(projectFolder(project), 'node_modules');
  const compilerOptions = {
    target: 'ES2022',
    module: 'commonjs',
    moduleResolution: 'node10',
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    baseUrl: modules,
    types: ['node'],
    typeRoots: [path.join(root, 'node_modules', '@types')],
  };
  writeFileSync(tsconfig, JSON.stringify({ compilerOptions, files: [file] }));
  const { stdout } = spawnSync(process.execPath, [require.resolve('typescript/bin/tsc'), '-p', tsconfig], {
    encoding: 'utf8',
  });
  return stdout.split('\n').filter(line => /error TS/.test(line));
}

describe.each(['v3', 'v4'] as const)('with Midway %s and skipLibCheck: false', project => {
  it("nothing is wrong with this package's types, and Midway's own have whatever they have", () => {
    const source = `
      import * as agent from '@midwayjs/process-agent';
      export class Jobs {
        @agent.RunInPrimary() async add(n: number): Promise<number> { return n; }
      }
      export const service: typeof agent.ProcessAgentService = agent.ProcessAgentService;
      export const wrong: string = 1;
    `;
    const errors = check(project, source);
    // The types were looked at.
    expect(errors.filter(each => each.includes('index.ts'))).toEqual([
      expect.stringContaining("'number' is not assignable"),
    ]);
    expect(errors.filter(each => each.includes('process-agent'))).toEqual([]);
  });
});
