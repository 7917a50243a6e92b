import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { clusterManager } from '../support/deployments';
import { removeTemporaryFolders, temporaryFolder } from '../support/folders';
import { freePorts, get } from '../support/http';
import { killAll, runToEnd, start } from '../support/processes';
import { projectFolder } from '../support/project';
import { until } from '../support/until';

const { pack } = require('../../scripts/pack') as { pack(): { main: string; platform: string } };
const { platform } = require('../../scripts/setup') as { platform(): string };
const versions = require('../../scripts/versions.json') as { v4: Record<string, string> };

describe('what npm pack makes, in an empty project elsewhere', () => {
  const tarballs = pack();
  let folder: string;
  let binary: string;

  beforeAll(() => {
    folder = emptyProject();
    const packages = Object.entries(versions.v4).map(([name, version]) => `${name}@${version}`);
    const npm = [
      'install',
      '--no-package-lock',
      '--no-audit',
      '--no-fund',
      ...packages,
      tarballs.main,
      tarballs.platform,
    ];
    execFileSync('npm', npm, { cwd: folder, stdio: 'pipe', shell: process.platform === 'win32' });
    binary = path.join(folder, 'node_modules', '@midwayjs', `process-agent-${platform()}`);
  });
  afterEach(killAll);
  afterAll(removeTemporaryFolders);

  it('has what is needed and nothing else', () => {
    const installed = path.join(folder, 'node_modules', '@midwayjs', 'process-agent');
    const entries = fs.readdirSync(installed).sort();
    expect(entries).toEqual(expect.arrayContaining(['LICENSE', 'binding.js', 'dist', 'index.d.ts', 'package.json']));
    const allowed = /^(CHANGELOG\.md|LICENSE|README\.md|binding\.(d\.ts|js)|dist|index\.d\.ts|package\.json)$/;
    expect(entries.filter(name => !allowed.test(name))).toEqual([]);
    expect(fs.readdirSync(binary).filter(name => name.endsWith('.node'))).toHaveLength(1);
    const { scripts = {} } = JSON.parse(fs.readFileSync(path.join(installed, 'package.json'), 'utf8'));
    expect(Object.keys(scripts)).not.toEqual(expect.arrayContaining(['install', 'postinstall', 'preinstall']));
  });

  it('works under ClusterManager', async () => {
    const { application } = await clusterManager({ folder, workers: 2 });
    await application.get('/set?value=packed');
    for (const { value } of await application.fromEach('/get')) {
      expect(value).toBe('packed');
    }
  });

  it('says what is missing when there is no binary, once, and does not start', async () => {
    await without(binary, async () => {
      const { code, output } = await startMember();
      expect(code).not.toBe(0);
      expect(output).toContain('ERR_AGENT_BINDING');
      expect(output).toContain(`@midwayjs/process-agent-${platform()}`);
      expect(output).toContain(`${process.platform} ${process.arch}`);
    });
  });

  it('says the same of a binary that is for another platform', async () => {
    await without(binary, async () => {
      fs.cpSync(`${binary}-away`, binary, { recursive: true });
      const [file] = fs.readdirSync(binary).filter(name => name.endsWith('.node'));
      fs.writeFileSync(path.join(binary, file), 'not a library of this platform');
      const { code, output } = await startMember();
      expect(code).not.toBe(0);
      expect(output).toContain('ERR_AGENT_BINDING');
    });
  });

  it('runs a standalone application without a binary', async () => {
    await without(binary, async () => {
      const [port] = await freePorts(1);
      start(['bootstrap.js'], { cwd: folder, env: { PORT: String(port) } });
      const who = await until(() => get<object>(port, '/whoami'), { what: 'the application to answer' });
      expect(who).toMatchObject({ deployment: 'standalone', isPrimary: true });
    });
  });

  async function startMember() {
    const [port] = await freePorts(1);
    const env = { MIDWAY_PROCESS_AGENT_GROUP: `pack-${process.pid}`, PORT: String(port) };
    return runToEnd(['bootstrap.js'], { cwd: folder, env });
  }
});

/** An application's own files, as its author has them, without any package. */
function emptyProject(): string {
  const folder = temporaryFolder('pack');
  fs.writeFileSync(path.join(folder, 'package.json'), '{ "name": "somebody-elses-app", "private": true }');
  for (const name of ['bootstrap.js', 'manager.js', 'dist']) {
    fs.cpSync(path.join(projectFolder('v4'), name), path.join(folder, name), { recursive: true });
  }
  return folder;
}

async function without(folder: string, run: () => Promise<void>): Promise<void> {
  fs.renameSync(folder, `${folder}-away`);
  try {
    await run();
  } finally {
    await killAll();
    fs.rmSync(folder, { recursive: true, force: true });
    fs.renameSync(`${folder}-away`, folder);
  }
}
