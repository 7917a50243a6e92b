// An application of one route, with this package or without it (WITHOUT_COMPONENT=1): what a stop does to those who ask it.
// DESTROY_MS gives it a slow @Destroy() of its own, COMPONENT_STOPS=1 a component that is of no use
// from its onStop on.
const core = require('@midwayjs/core');
const { Bootstrap } = require('@midwayjs/bootstrap');
const koa = require('@midwayjs/koa');
const { setTimeout: sleep } = require('node:timers/promises');

const { WITHOUT_COMPONENT, PORT, DESTROY_MS, COMPONENT_STOPS, PROCESS_AGENT_CONFIG } = process.env;
const processAgent = WITHOUT_COMPONENT ? undefined : require('@midwayjs/process-agent');

class CounterService {
  #count = 0;

  async add() {
    await sleep(2);
    return { pid: process.pid, count: ++this.#count };
  }

  async leave() {
    await sleep(Number(DESTROY_MS));
  }
}
core.Provide()(CounterService);
core.Scope(core.ScopeEnum.Singleton)(CounterService);
if (processAgent) {
  decorate(CounterService, 'add', processAgent.RunInPrimary());
}
if (DESTROY_MS) {
  decorate(CounterService, 'leave', core.Destroy());
}

/** What a component for a database is to those who ask: from its `onStop` on there is no connection. */
let isConnected = true;
class StoreConfiguration {
  async onStop() {
    isConnected = false;
  }
}
core.Configuration({ namespace: 'store' })(StoreConfiguration);

class MainConfiguration {
  async onReady(container, app) {
    container.bindClass(CounterService);
    app.useMiddleware(async ctx => {
      if (ctx.path === '/whoami') {
        return { pid: process.pid, threadId: 0 };
      }
      const counter = await ctx.requestContext.getAsync(CounterService);
      const added = await counter.add();
      if (!isConnected) {
        throw new Error('The connection is closed.');
      }
      return { ...added, answeredBy: process.pid };
    });
  }
}
core.Configuration({
  imports: [
    koa,
    ...(COMPONENT_STOPS ? [{ Configuration: StoreConfiguration }] : []),
    ...(processAgent ? [processAgent] : []),
  ],
  importConfigs: [
    {
      default: {
        keys: 'not-secret',
        koa: { port: Number(PORT), hostname: '127.0.0.1' },
        processAgent: JSON.parse(PROCESS_AGENT_CONFIG ?? '{}'),
      },
    },
  ],
})(MainConfiguration);

function decorate(cls, key, decorator) {
  const descriptor = Object.getOwnPropertyDescriptor(cls.prototype, key);
  Object.defineProperty(cls.prototype, key, decorator(cls.prototype, key, descriptor) ?? descriptor);
}

Bootstrap.configure({
  appDir: __dirname,
  // Not dist: that is the other application of this folder.
  baseDir: __dirname,
  moduleDetector: false,
  imports: [{ Configuration: MainConfiguration }],
}).run();
