import type { Cluster } from 'node:cluster';
import { format } from 'node:util';
import {
  Aspect,
  DecoratorManager,
  DefaultConsoleLoggerFactory,
  type IMethodAspect,
  Inject,
  type JoinPoint,
  Pipe,
  type PipeTransform,
  Provide,
  Scope,
  ScopeEnum,
} from '@midwayjs/core';
import {
  OnlyInPrimary,
  ProcessAgentError,
  ProcessAgentService,
  ProcessHealthService,
  ProcessMetricsService,
  RunInPrimary,
} from '../ts';
import { state } from '../ts/state';
import { closeAll, startApp } from './support/light-app';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeAll();
});

const seen: string[] = [];

@Pipe()
class DoublePipe implements PipeTransform {
  transform(value: number) {
    return value * 2;
  }
}

function Doubled() {
  return DecoratorManager.createCustomParamDecorator('doubled', {}, { impl: false, pipes: [DoublePipe] });
}

@Provide()
@Scope(ScopeEnum.Singleton)
class Ledger {
  total = 0;

  @RunInPrimary()
  async add(amount: number) {
    this.total += amount;
    return this.total;
  }

  @RunInPrimary()
  async fail() {
    throw Object.assign(new RangeError('no money'), { code: 'E_LEDGER' });
  }

  @OnlyInPrimary()
  async settle(): Promise<string | undefined> {
    return 'settled';
  }
}

@Provide()
@Scope(ScopeEnum.Singleton)
class Piped {
  @RunInPrimary()
  async twice(@Doubled() amount: number) {
    return amount;
  }
}

@Provide()
@Scope(ScopeEnum.Singleton)
class Watched {
  @RunInPrimary()
  async run(amount: number) {
    return amount;
  }

  @RunInPrimary()
  async fail() {
    throw new Error('watched');
  }
}

@Aspect(Watched)
class Watch implements IMethodAspect {
  async around(point: JoinPoint) {
    seen.push(`around ${point.methodName} ${point.proceedIsAsyncFunction}`);
    return point.proceed?.(...point.args);
  }

  async afterThrow(point: JoinPoint, err: Error) {
    seen.push(`afterThrow ${point.methodName} ${err.message}`);
    throw err;
  }
}

@Provide()
class PerRequest {
  @Inject()
  ctx!: { requestId?: string };

  @RunInPrimary()
  async requestId() {
    return this.ctx.requestId ?? 'a request';
  }
}

describe('a standalone application', () => {
  it('is its own primary as soon as it has started', async () => {
    const app = await startApp([Ledger]);
    expect(app.agent).toMatchObject({ role: 'primary', epoch: 1, group: 'standalone' });
    expect(app.agent.isPrimary()).toBe(true);
    await app.agent.ready();
    await app.agent.ready(1);
    expect(await app.agent.members()).toEqual([
      expect.objectContaining({ id: 1, pid: process.pid, role: 'primary', deployment: 'standalone', state: 'ready' }),
    ]);
    expect(app.agent.explain()).toMatchObject({ deployment: 'standalone', folder: undefined, role: 'primary' });
  });

  it('is what a test runner runs, whatever group its configuration names, and says so', async () => {
    const app = await startApp([Ledger], { group: 'orders' }, { inEnvironment: false });
    expect(app.agent.group).toBe('standalone');
    expect(app.agent.explain().reasons[0]).toMatch(/^The test runner jest runs this process \(/);
  });

  it('is what has switched grouping off, also where it would be one of many, before and after its life', async () => {
    const { decideNow } = require('../ts/environment') as typeof import('../ts/environment');
    const cluster = require('node:cluster') as Omit<Cluster, 'workers'> & { workers: object };
    const { workers } = cluster;
    // Then the test runner does not count.
    cluster.workers = { 1: {} };
    try {
      expect(decideNow(undefined).deployment).toBe('cluster');
      const app = await startApp([Ledger], { group: false });
      const ledger = await app.get(Ledger);
      expect(await ledger.add(1)).toBe(1);
      const { deployment, reasons } = app.agent.explain();
      expect({ deployment, reason: reasons[0] }).toEqual({
        deployment: 'standalone',
        reason: 'processAgent.group is false, which switches grouping off.',
      });
      await app.close();
      expect(await ledger.add(1)).toBe(2);
    } finally {
      cluster.workers = workers;
    }
  });

  it('runs decorated methods on the object, and throws what they throw', async () => {
    const app = await startApp([Ledger]);
    const ledger = await app.get(Ledger);
    expect(await ledger.add(2)).toBe(2);
    expect(ledger.total).toBe(2);
    expect(await ledger.settle()).toBe('settled');
    await expect(ledger.fail()).rejects.toMatchObject({ constructor: RangeError, code: 'E_LEDGER' });
  });

  it('runs aspects around decorated methods as around others', async () => {
    const app = await startApp([Watched, Watch]);
    const watched = await app.get(Watched);
    expect(await watched.run(1)).toBe(1);
    await expect(watched.fail()).rejects.toThrow('watched');
    expect(seen).toEqual(['around run true', 'around fail true', 'afterThrow fail watched']);
  });

  it('runs pipes on the parameters of decorated methods', async () => {
    const app = await startApp([Piped, DoublePipe]);
    expect(await (await app.get(Piped)).twice(21)).toBe(42);
  });

  it('runs a request scoped object in its own request', async () => {
    const app = await startApp([PerRequest]);
    expect(await (await app.getInRequest(PerRequest)).requestId()).toBe('a request');
  });

  it('answers call() with its own handler', async () => {
    const app = await startApp([]);
    app.agent.handle('add', (a: number, b: number) => a + b);
    expect(await app.agent.call('add', [1, 2])).toBe(3);
    expect(() => app.agent.handle('add', () => 0)).toThrow(/a handler of this name already/);
    expect(() => app.agent.handle('', () => 0)).toThrow(ProcessAgentError);
    await expect(app.agent.call('sub')).rejects.toMatchObject({ code: 'ERR_AGENT_UNKNOWN_METHOD' });
  });

  it('opens and closes 30 times in one process and leaves nothing', async () => {
    const before = process.getActiveResourcesInfo().length;
    for (let i = 0; i < 30; i++) {
      const app = await startApp([Ledger]);
      const ledger = await app.get(Ledger);
      expect(await ledger.add(1)).toBe(1);
      expect(app.agent.group).toBe('standalone');
      await app.close();
      expect(app.agent.role).toBeUndefined();
    }
    expect(state.memberships).toEqual([]);
    expect(state.listeners.size).toBe(0);
    expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(before + 1);
  });

  it('goes on running methods after it has been closed, as it would without this package', async () => {
    const app = await startApp([Ledger]);
    const ledger = await app.get(Ledger);
    await app.close();
    expect(await ledger.add(1)).toBe(1);
    await expect(app.agent.members()).rejects.toMatchObject({ code: 'ERR_AGENT_CLOSED' });
  });

  it('loads neither the binary nor the engine that needs it', async () => {
    await startApp([Ledger]);
    const loaded = Object.keys(require.cache);
    expect(loaded).toContainEqual(expect.stringMatching(/engine[\\/]standalone/));
    expect(loaded.filter(file => /engine[\\/]local|\.node$|binding\.js$/.test(file))).toEqual([]);
  });

  it.each([Number.POSITIVE_INFINITY, 2 ** 31, 0, -1, 1.5, null, '5'])('refuses ready(%p)', async timeout => {
    const { agent } = await startApp([]);
    await expect(agent.ready(timeout as number)).rejects.toMatchObject({
      code: 'ERR_AGENT_CONFIG',
      message: 'ready(): timeout must be a whole number of milliseconds from 1 to 2147483647.',
    });
  });

  it.each([
    [{ timeout: 0.9 * 1_500.5 }, 'getMetrics(): timeout must be a whole number of milliseconds from 0 to 3600000.'],
    [{ timeout: -1 }, 'getMetrics(): timeout must be a whole number of milliseconds from 0 to 3600000.'],
    [{ memberLabel: 'yes' }, "getMetrics(): memberLabel must be true, false or 'slot'."],
    [{ format: 'json' }, "getMetrics(): format must be 'text' or 'openmetrics'."],
    [{ label: true }, "getMetrics() has no option 'label'. Options: format, memberLabel, timeout."],
    [null, 'getMetrics() takes an object of options, or nothing.'],
  ])('refuses getMetrics(%p)', async (options, message) => {
    const metrics = await (await startApp([])).get(ProcessMetricsService);
    await expect(metrics.getMetrics(options as never)).rejects.toMatchObject({ code: 'ERR_AGENT_CONFIG', message });
    expect(await metrics.getMetrics({ timeout: 0, memberLabel: undefined, format: 'text' })).toEqual(
      expect.any(String),
    );
  });
});

it.each([
  ['ProcessAgentService', () => new ProcessAgentService().role],
  ['ProcessAgentService', () => new ProcessAgentService().members()],
  ['ProcessHealthService', () => new ProcessHealthService().getStatus()],
  ['ProcessMetricsService', () => new ProcessMetricsService().getMetrics()],
])('%s that was made with new says where to get it', async (_, use) => {
  const used = async () => use();
  await expect(used()).rejects.toBeInstanceOf(ProcessAgentError);
  await expect(used()).rejects.toMatchObject({
    code: 'ERR_AGENT_NOT_STARTED',
    message: expect.stringContaining('Get it from the container'),
  });
});

describe('at start', () => {
  it('one warning names the decorated methods that are declared not to return a promise', async () => {
    @Provide()
    class Mixed {
      @RunInPrimary()
      text(): string {
        return '';
      }

      @RunInPrimary()
      list(): string[] {
        return [];
      }

      @RunInPrimary()
      promised(): Promise<string> {
        return Promise.resolve('');
      }

      @RunInPrimary()
      shaped(): { then?: never } {
        return {};
      }

      @RunInPrimary()
      bare() {
        return Promise.resolve('');
      }
    }
    const warnings: string[] = [];
    jest.spyOn(console, 'warn').mockImplementation((...args) => {
      warnings.push(format(...args));
    });
    await startApp([Mixed], {}, { loggerFactory: new DefaultConsoleLoggerFactory() });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('Mixed.text, Mixed.list: declared');
  });
});

describe('two applications in one process', () => {
  it('share neither objects nor a group', async () => {
    const first = await startApp([Ledger]);
    const second = await startApp([Ledger]);
    const [one, two] = [await first.get(Ledger), await second.get(Ledger)];
    expect(one).not.toBe(two);
    await one.add(1);
    await two.add(10);
    expect([one.total, two.total]).toEqual([1, 10]);
    expect([first.agent.group, second.agent.group]).toEqual(['standalone', 'standalone#2']);
    first.agent.handle('who', () => 'first');
    second.agent.handle('who', () => 'second');
    expect(await Promise.all([first.agent.call('who'), second.agent.call('who')])).toEqual(['first', 'second']);
  });

  it('take the lowest free number', async () => {
    const first = await startApp([]);
    const second = await startApp([]);
    await first.close();
    const third = await startApp([]);
    expect([second.agent.group, third.agent.group]).toEqual(['standalone#2', 'standalone']);
  });
});

describe('an application that fails to start', () => {
  it('because of its configuration says which key', async () => {
    jest.spyOn(console, 'error').mockImplementation(() => {});
    await expect(startApp([], { readyTimeout: 'soon' })).rejects.toMatchObject({
      code: 'ERR_AGENT_CONFIG',
      message: expect.stringContaining('processAgent.readyTimeout is "soon"'),
    });
    expect(state.memberships).toEqual([]);
  });

  it('in its own start-up leaves no membership behind', async () => {
    jest.spyOn(console, 'error').mockImplementation(() => {});
    const onReady = async () => {
      throw new Error('no database');
    };
    await expect(startApp([Ledger], {}, { onReady })).rejects.toThrow('no database');
    expect(state.memberships).toEqual([]);
    const app = await startApp([Ledger]);
    expect(app.agent.group).toBe('standalone');
  });
});
