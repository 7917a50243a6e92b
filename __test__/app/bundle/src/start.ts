import { Bootstrap } from '@midwayjs/bootstrap';
import { Configuration } from '@midwayjs/core';
import * as koa from '@midwayjs/koa';
import * as processAgent from '@midwayjs/process-agent';

// Without a port it does not listen.
const defaults = {
  keys: 'not-secret',
  koa: {},
  midwayLogger: {
    default: { transports: { file: false, error: false } },
    clients: { processAgentLogger: { transports: { console: {} } } },
  },
};

@Configuration({ imports: [koa, processAgent], importConfigs: [{ default: defaults }] })
class MainConfiguration {}

type Class = new () => Record<string, () => Promise<unknown>>;

/** Nothing is scanned: there is only this file. The parent names a class and a method to call. */
export async function start(classes: Record<string, Class>): Promise<void> {
  await Bootstrap.configure({
    appDir: __dirname,
    baseDir: __dirname,
    imports: [{ Configuration: MainConfiguration }],
    preloadModules: Object.values(classes),
    moduleDetector: false,
  } as never).run();
  const container = Bootstrap.getApplicationContext();
  const agent = await container.getAsync(processAgent.ProcessAgentService);
  process.on('message', async ([name, method]: [string, string]) => {
    try {
      const instance = await container.getAsync(classes[name]);
      process.send?.({ value: await instance[method]() });
    } catch (error) {
      const { code, outcome, message } = error as processAgent.ProcessAgentError;
      process.send?.({ error: { code, outcome, message } });
    }
  });
  process.send?.({ value: agent.role });
}
