import * as path from 'node:path';
import { Application } from './application';
import { freePorts, get } from './http';
import { type Running, run, start } from './processes';
import { projectFolder } from './project';
import type { Runtime } from './runtimes';
import { Hopeless, until } from './until';

export interface Deployed {
  application: Application;
  /** The processes that the test has started itself: a supervisor, or each member. */
  processes: Running[];
}

export interface DeployOptions {
  project?: 'v3' | 'v4';
  /** Another folder with the same application. */
  folder?: string;
  workers?: number;
  env?: Record<string, string>;
}

/** node:cluster by hand; with `appInPrimary` the cluster primary boots the application too. */
export async function nodeCluster(options: DeployOptions & { appInPrimary: boolean }): Promise<Deployed> {
  const { project = 'v4', workers = 3, appInPrimary, env } = options;
  const [port, primaryPort] = await freePorts(2);
  const running = start(['cluster.js'], {
    cwd: projectFolder(project),
    env: {
      ...env,
      WORKERS: String(workers),
      PORT: String(port),
      ...(appInPrimary ? { APP_IN_PRIMARY: '1', PRIMARY_PORT: String(primaryPort) } : {}),
    },
  });
  const ports = appInPrimary ? [port, primaryPort] : [port];
  return deployed(new Application(ports, workers + (appInPrimary ? 1 : 0)), [running]);
}

/** Midway's ClusterManager. */
export async function clusterManager(options: DeployOptions): Promise<Deployed> {
  const { project = 'v4', folder = projectFolder(project), workers = 3, env } = options;
  const [port] = await freePorts(1);
  const running = start(['manager.js'], {
    cwd: folder,
    env: { ...env, WORKERS: String(workers), PORT: String(port) },
  });
  return deployed(new Application([port], workers), [running]);
}

/** Plain processes, of Node or of another runtime, that only a configured group name joins. */
export async function plainNode(options: DeployOptions & { group: string; runtime?: Runtime }): Promise<Deployed> {
  const { project = 'v4', folder = projectFolder(project), workers = 3, group, env } = options;
  const { program, args } = options.runtime ?? { program: process.execPath, args: [] };
  const ports = await freePorts(workers);
  const processes = ports.map(port =>
    run(program, [...args, 'bootstrap.js'], {
      cwd: folder,
      env: { ...env, MIDWAY_PROCESS_AGENT_GROUP: group, PORT: String(port) },
    }),
  );
  return deployed(new Application(ports, workers), processes);
}

/** The application in the main thread and in worker threads of one process. */
export async function workerThreads({ project = 'v4', workers = 2, env }: DeployOptions): Promise<Deployed> {
  const ports = await freePorts(workers + 1);
  const running = start(['threads.js'], { cwd: projectFolder(project), env: { ...env, PORTS: ports.join(',') } });
  return deployed(new Application(ports, workers + 1), [running]);
}

/** egg-scripts in the foreground. */
export async function eggScripts({ workers = 3, env }: DeployOptions): Promise<Deployed> {
  const [port] = await freePorts(1);
  const cwd = projectFolder('egg');
  const script = path.join(cwd, 'node_modules', 'egg-scripts', 'bin', 'egg-scripts.js');
  const running = start([script, 'start', `--port=${port}`, `--workers=${workers}`, '--framework=@midwayjs/web'], {
    cwd,
    env: { ...env, PORT: String(port) },
  });
  return deployed(new Application([port], workers), [running]);
}

/** Waits until as many members as expected answer; says what the processes printed if they don't. */
export async function deployed(application: Application, processes: Running[]): Promise<Deployed> {
  try {
    await until(
      () => {
        const ended = processes.find(one => !one.isRunning);
        if (ended) {
          throw new Hopeless(`process ${ended.pid} ended before the application answered`);
        }
        return Promise.all(application.ports.map(port => get(port, '/whoami')));
      },
      { what: 'the application to answer', timeout: 60_000, every: 100 },
    );
    await application.fromEach('/whoami');
  } catch (error) {
    const printed = processes.map(one => `--- ${one.pid}\n${one.output.slice(-4_000)}`).join('\n');
    throw new Error(`${(error as Error).message}\n${printed}`);
  }
  return { application, processes };
}
