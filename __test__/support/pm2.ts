import * as fs from 'node:fs';
import * as path from 'node:path';
import { Application } from './application';
import { type Deployed, deployed } from './deployments';
import { removeTemporaryFolders, temporaryFolder } from './folders';
import { freePorts } from './http';
import { isAlive, runToEnd } from './processes';
import { projectFolder } from './project';
import { until } from './until';

interface Pm2App {
  mode: 'cluster' | 'fork';
  instances: number;
  project?: 'v3' | 'v4';
  script?: string;
  args?: string;
  name?: string;
  instanceVar?: string;
  env?: Record<string, string>;
  /** Members that answer, where it is not the number of instances. */
  members?: number;
}

interface Listed {
  pm_id: number;
  pid: number;
  name: string;
  status: string;
}

/** A pm2 of our own: its daemon lives in a temporary PM2_HOME and dies with `kill()`. */
export class Pm2 {
  readonly home: string;
  /** Where its commands are run. */
  private readonly folder = temporaryFolder('pm2');
  /** As its commands are given it. */
  private readonly homeAsGiven: string;
  private readonly bin = path.join(projectFolder('tools'), 'node_modules', 'pm2', 'bin', 'pm2');

  /** `relative`: with the PM2_HOME `./.pm2`, which several are given. */
  constructor({ relative = false } = {}) {
    this.home = relative ? path.join(this.folder, '.pm2') : this.folder;
    this.homeAsGiven = relative ? './.pm2' : this.folder;
    fs.mkdirSync(this.home, { recursive: true });
  }

  async start(app: Pm2App): Promise<Deployed> {
    const { mode, instances, project = 'v4', script = 'bootstrap.js', args, name = 'api', instanceVar } = app;
    // Instances in fork mode can't share a port: pm2 counts PORT up for them.
    const ports = await freePorts(mode === 'fork' ? instances : 1);
    const description = {
      name,
      script,
      ...(args ? { args } : {}),
      cwd: projectFolder(project),
      exec_mode: mode,
      instances,
      ...(mode === 'fork' && instances > 1 ? { increment_var: 'PORT' } : {}),
      ...(instanceVar ? { instance_var: instanceVar } : {}),
      env: { ...app.env, PORT: String(ports[0]) },
    };
    const file = path.join(this.home, `${name}.json`);
    fs.writeFileSync(file, JSON.stringify({ apps: [description] }));
    await this.run('start', file);
    try {
      return await deployed(new Application(ports, app.members ?? instances), []);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.logs()}`);
    }
  }

  async run(...args: string[]): Promise<string> {
    const { code, output } = await runToEnd([this.bin, ...args], {
      cwd: this.folder,
      env: { PM2_HOME: this.homeAsGiven },
    });
    if (code !== 0) {
      throw new Error(`pm2 ${args.join(' ')} ended with ${code}:\n${output}\n${this.logs()}`);
    }
    return output;
  }

  async list(): Promise<Listed[]> {
    const output = await this.run('jlist');
    // A first start of the daemon prints a banner before the list.
    const list = JSON.parse(output.slice(output.indexOf('[{') >= 0 ? output.indexOf('[{') : output.lastIndexOf('[]')));
    return list.map(({ pm_id, pid, name, pm2_env }: Listed & { pm2_env: { status: string } }) => ({
      pm_id,
      pid,
      name,
      status: pm2_env.status,
    }));
  }

  /** What the daemon and the applications have written. */
  logs(): string {
    const folder = path.join(this.home, 'logs');
    const files = [path.join(this.home, 'pm2.log')];
    if (fs.existsSync(folder)) {
      files.push(...fs.readdirSync(folder).map(name => path.join(folder, name)));
    }
    return files
      .filter(file => fs.existsSync(file))
      .map(file => `--- ${path.basename(file)}\n${fs.readFileSync(file, 'utf8').slice(-3_000)}`)
      .join('\n');
  }

  /** Ends the daemon and everything that it has started, and removes its home. */
  async kill(): Promise<void> {
    await this.end();
    removeTemporaryFolders();
  }

  /** Ends the daemon and everything that it has started. */
  async end(): Promise<void> {
    const pidFile = path.join(this.home, 'pm2.pid');
    if (fs.existsSync(pidFile)) {
      const daemon = Number(fs.readFileSync(pidFile, 'utf8'));
      await this.run('kill');
      await until(() => !isAlive(daemon), { what: `the pm2 daemon ${daemon} to end`, timeout: 10_000 });
    }
  }
}
