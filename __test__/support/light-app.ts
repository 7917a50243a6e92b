/** Real Midway applications inside the test's own process. */
import { close, createLightApp } from '@midwayjs/mock';
import * as processAgent from '../../ts';

type Class = new (...args: never[]) => unknown;

export interface LightApp {
  agent: processAgent.ProcessAgentService;
  get<T>(cls: new (...args: never[]) => T): Promise<T>;
  /** In a request context of its own. */
  getInRequest<T>(cls: new (...args: never[]) => T): Promise<T>;
  bind(cls: Class): void;
  close(): Promise<void>;
}

const open = new Set<LightApp>();

/**
 * `config.group` is given in the environment, too, unless `inEnvironment` is false: in a test runner it counts there
 * alone.
 */
export async function startApp(classes: Class[], config: object = {}, options: object = {}): Promise<LightApp> {
  const { group } = config as { group?: string };
  const { inEnvironment = true, ...hooks } = options as { inEnvironment?: boolean };
  if (group && inEnvironment) {
    process.env.MIDWAY_PROCESS_AGENT_GROUP = group;
  } else {
    delete process.env.MIDWAY_PROCESS_AGENT_GROUP;
  }
  const app = await createLightApp({
    // A folder without an entry file: from the package's own, Midway would load dist/ as the application.
    baseDir: __dirname,
    imports: [processAgent],
    preloadModules: classes,
    globalConfig: {
      processAgent: config,
      midwayLogger: { default: { transports: { file: false, error: false, console: false } } },
    },
    ...hooks,
  } as never);
  const container = app.getApplicationContext();
  const light: LightApp = {
    agent: await container.getAsync(processAgent.ProcessAgentService),
    get: cls => container.getAsync(cls as never),
    getInRequest: cls => app.createAnonymousContext().requestContext.getAsync(cls as never),
    bind: cls => {
      container.bindClass(cls);
    },
    close: async () => {
      open.delete(light);
      await close(app);
    },
  };
  open.add(light);
  return light;
}

/** What a failed test left open. */
export async function closeAll(): Promise<void> {
  for (const app of open) {
    await app.close();
  }
  delete process.env.MIDWAY_PROCESS_AGENT_GROUP;
}
