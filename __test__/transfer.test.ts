import type { Cluster } from 'node:cluster';
import { Init, Inject, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { type Member, OnlyInPrimary, ProcessAgentService, RunInPrimary, type TransferHooks } from '../ts';
import { WaitedCall } from '../ts/own-call';
import { state } from '../ts/state';
import { blocksOf } from './support/documented';
import { closeAll, type LightApp, startApp } from './support/light-app';
import { recordLog } from './support/log';
import { LocalEngine } from './support/memory-engine';

jest.mock('../ts/engine/local', () => require('./support/memory-engine'), { virtual: true });

const GROUP = { group: 'transfer', stopTimeout: 30, readyTimeout: 500 };

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));

@Provide()
@Scope(ScopeEnum.Singleton)
class Counter {
  count = 0;

  @Inject()
  agent!: ProcessAgentService;

  @Init()
  async init() {
    await this.agent.transfer<number>('counter', {
      onHandover: () => this.count,
      onPrimary: count => {
        this.count = count ?? 0;
      },
    });
  }

  @RunInPrimary()
  async add() {
    return ++this.count;
  }
}

@Provide()
@Scope(ScopeEnum.Singleton)
class SlowCounter extends Counter {
  override async init() {
    await this.agent.transfer<number>('slow counter', {
      onHandover: () => this.count,
      onPrimary: count => {
        this.count = count ?? 0;
      },
    });
  }

  @RunInPrimary()
  async addSlowly(ms: number) {
    await pause(ms);
    return this.add();
  }

  @OnlyInPrimary()
  async tick(): Promise<number | undefined> {
    await pause(60);
    return this.add();
  }

  @OnlyInPrimary()
  tickPromised(): Promise<number | undefined> {
    return pause(60).then(() => this.add());
  }

  @RunInPrimary()
  async *addings(times: number) {
    yield* this.eachAdded(times);
  }

  @RunInPrimary()
  async promisedAddings(times: number): Promise<AsyncIterable<number>> {
    return this.eachAdded(times);
  }

  private async *eachAdded(times: number) {
    for (let i = 0; i < times; i++) {
      await pause(20);
      yield await this.add();
    }
  }
}

/** The last item. */
async function last(stream: AsyncIterable<number>): Promise<number | undefined> {
  let item: number | undefined;
  for await (item of stream) {
  }
  return item;
}

/** As the first application's engine runs a call that has waited until it is primary. */
function waited(handler: string, ...args: unknown[]): unknown {
  const [membership] = state.memberships;
  const { self, epoch, tenure } = membership.engine;
  return membership.invoke(`#${handler}`, args, new WaitedCall(() => self as Member, epoch, tenure, undefined));
}

async function failAt(item: number, stream: AsyncIterable<number>): Promise<void> {
  try {
    for await (const each of stream) {
      if (each === item) {
        throw new Error('no more');
      }
    }
  } catch {}
}

/** Hooks that note what happens to them. */
function hooksOf(log: unknown[], name: string, state: unknown = `${name}'s`): TransferHooks {
  return {
    onHandover: () => {
      log.push(`${name} gives`);
      return state;
    },
    onPrimary: async (given, { epoch }) => {
      log.push([name, given, epoch]);
      await new Promise(setImmediate);
      log.push(`${name} done`);
    },
  };
}

let first: LightApp;
let second: LightApp;
const log: unknown[] = [];

beforeEach(async () => {
  log.length = 0;
});

async function startTwo(hooks?: object) {
  first = await startApp([Counter], GROUP, hooks);
  second = await startApp([Counter], GROUP, hooks);
}

afterEach(async () => {
  jest.restoreAllMocks();
  await closeAll();
});

describe('what a primary keeps in memory', () => {
  it('goes on in the next one after a handover', async () => {
    await startTwo();
    const [one, two] = [await first.get(Counter), await second.get(Counter)];
    expect([await two.add(), await one.add()]).toEqual([1, 2]);
    await first.close();
    expect(await two.add()).toBe(3);
  });

  it('holds what this process has begun itself before, and not what takes longer than the stop may', async () => {
    first = await startApp([Counter, SlowCounter], { group: 'transfer', stopTimeout: 300 });
    second = await startApp([Counter, SlowCounter], GROUP);
    const counter = await first.get(SlowCounter);
    first.agent.handle('add slowly', () => counter.addSlowly(5));
    const slow = [counter.addSlowly(20), first.agent.call('add slowly')];
    const tooSlow = expect(counter.addSlowly(1_000)).rejects.toMatchObject({ code: 'ERR_AGENT_CLOSED' });
    await first.close();
    expect(await Promise.all(slow)).toEqual([2, 1]);
    expect(await (await second.get(SlowCounter)).add()).toBe(3);
    await tooSlow;
  });

  it.each<[string, (counter: SlowCounter) => Promise<unknown>]>([
    ['a scheduler has begun', counter => counter.tick()],
    ['a scheduler has begun in a method that is not async', counter => counter.tickPromised()],
    ['a call does that has waited here', async () => waited('add later')],
    ['a stream does that has waited here', async () => last(waited('addings', 3) as AsyncIterable<number>)],
    ['a stream does that is read here', counter => last(counter.addings(3))],
    ['a promised stream does that is read here', async counter => last(await counter.promisedAddings(3))],
    [
      'a stream of a handler does that is read here',
      async () => last(await first.agent.call<AsyncIterable<number>>('addings', [3])),
    ],
    ['a stream does that nobody reads to its end', counter => counter.addings(3).next()],
    ['a stream does whose reader fails', counter => failAt(2, counter.addings(3))],
  ])('holds what %s', async (what, begin) => {
    const config = { group: 'transfer', stopTimeout: 600 };
    first = await startApp([Counter, SlowCounter], config);
    second = await startApp([Counter, SlowCounter], config);
    const counter = await first.get(SlowCounter);
    first.agent.handle('addings', (times: number) => counter.addings(times));
    first.agent.handle('add later', () => pause(60).then(() => counter.add()));
    const next = await second.get(SlowCounter);
    const running = begin(counter);
    await new Promise(setImmediate);
    await first.close();
    await running;
    expect([what, next.count]).toEqual([what, counter.count]);
    expect(counter.count).toBeGreaterThan(0);
  });

  it('is gone when a primary is lost, and the next one is told so', async () => {
    await startTwo();
    second.agent.transfer('a', hooksOf(log, 'a'));
    await LocalEngine.relieve();
    expect(log).toEqual([['a', undefined, second.agent.epoch], 'a done']);
  });

  it('is taken over in the order of registration, before this process is primary', async () => {
    await startTwo();
    for (const name of ['b', 'a']) {
      first.agent.transfer(name, { onHandover: () => `${name} of the first` });
      second.agent.transfer(name, hooksOf(log, name));
    }
    second.agent.on('primary', () => log.push('primary'));
    await first.close();
    const { epoch } = second.agent;
    const told = ['b', 'a'].flatMap(name => [[name, `${name} of the first`, epoch], `${name} done`]);
    expect(log).toEqual([...told, 'primary']);
  });

  it('waits for who registers later, who gets it once', async () => {
    await startTwo();
    first.agent.transfer('late', { onHandover: () => new Date(0) });
    await first.close();
    await second.agent.transfer('late', hooksOf(log, 'late'));
    expect(log).toEqual([['late', new Date(0), second.agent.epoch], 'late done']);
  });

  it('is passed on by a primary in which nobody has registered', async () => {
    await startTwo();
    const third = await startApp([], GROUP);
    first.agent.transfer('skips', { onHandover: () => 'the second' });
    await first.close();
    await second.close();
    await third.agent.transfer('skips', hooksOf(log, 'skips'));
    expect(log[0]).toEqual(['skips', 'the second', third.agent.epoch]);
  });

  it('is not passed on as it came, when who has taken it fails to hand over', async () => {
    recordLog();
    await startTwo();
    const third = await startApp([], GROUP);
    first.agent.transfer('a', { onHandover: () => 'from the first' });
    second.agent.transfer('a', {
      onHandover: () => {
        throw new Error('no memory');
      },
    });
    third.agent.transfer('a', hooksOf(log, 'a'));
    await first.close();
    await second.close();
    expect(log[0]).toEqual(['a', undefined, third.agent.epoch]);
  });

  it('of a tenure that was lost is not given to who registers in a later one', async () => {
    await startTwo();
    first.agent.transfer('late', { onHandover: () => 'old' });
    await first.close();
    await startApp([], GROUP);
    await LocalEngine.relieve();
    await LocalEngine.relieve();
    expect(second.agent.role).toBe('primary');
    await second.agent.transfer('late', hooksOf(log, 'late'));
    expect(log[0]).toEqual(['late', undefined, second.agent.epoch]);
  });

  it('is told to nobody while this process is a worker', async () => {
    await startTwo();
    await second.agent.transfer('a', hooksOf(log, 'a'));
    expect(log).toEqual([]);
  });
});

describe('a hook', () => {
  it('that fails costs its own state, and is logged', async () => {
    const { lines, hooks } = recordLog();
    await startTwo(hooks);
    first.agent.transfer('throws', {
      onHandover: () => {
        throw new Error('no memory');
      },
    });
    first.agent.transfer('leaks', { onHandover: async () => ({ socket: () => {} }) });
    first.agent.transfer('works', { onHandover: () => 'works' });
    second.agent.transfer('failing', {
      onPrimary: () => {
        throw new Error('no disk');
      },
    });
    for (const name of ['throws', 'leaks', 'works']) {
      second.agent.transfer(name, hooksOf(log, name));
    }
    await first.close();
    expect(log.filter(Array.isArray).map(each => each.slice(0, 2))).toEqual([
      ['throws', undefined],
      ['leaks', undefined],
      ['works', 'works'],
    ]);
    const logged = lines.join('\n');
    expect(logged).toMatch(/transfer\('throws'\): onHandover has failed.*no memory/);
    expect(logged).toMatch(/transfer\('leaks'\): onHandover has failed.*leaks\.socket is a function/);
    expect(logged).toMatch(/transfer\('failing'\): onPrimary has failed.*no disk/);
  });

  it('that hangs is passed over in the end, and is logged', async () => {
    const { lines, hooks } = recordLog();
    await startTwo(hooks);
    const hang = () => new Promise<never>(() => {});
    first.agent.transfer('hangs', { onHandover: hang });
    first.agent.transfer('works', { onHandover: () => 'works' });
    second.agent.transfer('hangs', { onPrimary: hang });
    second.agent.transfer('works', hooksOf(log, 'works'));
    await first.close();
    expect(log[0]).toEqual(['works', 'works', second.agent.epoch]);
    expect(lines.join('\n')).toMatch(/'hangs'\): onHandover has not[\s\S]*'hangs'\): onPrimary has not/);
  });
});

describe('transfer()', () => {
  it('refuses a name that is taken, and what are no hooks', async () => {
    first = await startApp([], GROUP);
    const { agent } = first;
    agent.transfer('a', { onHandover: () => 1 });
    expect(() => agent.transfer('a', { onHandover: () => 1 })).toThrow(
      expect.objectContaining({ code: 'ERR_AGENT_AMBIGUOUS' }),
    );
    for (const [name, hooks] of [
      ['', { onHandover: () => 1 }],
      ['b', undefined],
      ['b', {}],
      ['b', { onHandover: 1 }],
      ['b', () => 1],
    ]) {
      expect(() => agent.transfer(name as never, hooks as never)).toThrow(
        expect.objectContaining({ code: 'ERR_AGENT_CONFIG' }),
      );
    }
  });
});

describe('what docs/semantics.md shows', () => {
  const [code] = blocksOf('docs/semantics.md').flatMap(block => (/tenure/.test(block.code) ? [block.code] : []));

  @Provide()
  @Scope(ScopeEnum.Singleton)
  class Sweeper {
    sweeps = 0;

    @Inject()
    agent!: ProcessAgentService;

    @Init()
    async init() {
      new Function('agent', code).call(this, this.agent);
    }

    sweep() {
      this.sweeps++;
    }
  }

  const start = async (config: object) => {
    const hooks = {
      configurationModule: undefined,
      onReady: async (container: { getAsync(cls: unknown): Promise<unknown> }) => {
        await container.getAsync(Sweeper);
      },
    };
    const app = await startApp([Sweeper], config, hooks);
    return { app, sweeper: await app.get(Sweeper) };
  };

  beforeEach(() => jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'setTimeout', 'queueMicrotask'] }));
  afterEach(() => jest.useRealTimers());

  it('is done in the first primary, and in the next when its tenure has ended', async () => {
    const first = await start(GROUP);
    const second = await start(GROUP);
    const sweeps = () => [first.sweeper.sweeps, second.sweeper.sweeps];
    jest.advanceTimersByTime(60_000);
    expect(sweeps()).toEqual([1, 0]);
    await LocalEngine.relieve();
    jest.advanceTimersByTime(120_000);
    expect(sweeps()).toEqual([1, 2]);
  });

  it('is done in a standalone application', async () => {
    const { sweeper } = await start({});
    jest.advanceTimersByTime(60_000);
    expect(sweeper.sweeps).toBe(1);
  });
});

describe('in a standalone application', () => {
  it('what is kept goes on when the first worker is forked, with all that changes meanwhile', async () => {
    const cluster = require('node:cluster') as Omit<Cluster, 'workers'> & { workers: object };
    const turn = () => new Promise<void>(resolve => setImmediate(resolve));
    const app = await startApp([Counter]);
    const counter = await app.get(Counter);
    await app.agent.transfer('slow', {
      onHandover: turn,
      onPrimary: hooksOf(log, 'slow').onPrimary,
    });
    const upgraded = new Promise(resolve => app.agent.once('primary', () => resolve(true)));
    // As when it is forked: nobody else is there.
    const { workers } = cluster;
    cluster.workers = { 1: {} };
    try {
      cluster.emit('fork', {} as never);
      let added = 0;
      do {
        expect(await counter.add()).toBe(++added);
      } while (!(await Promise.race([upgraded, turn()])));
      expect(await counter.add()).toBe(++added);
      expect(app.agent.explain().deployment).toBe('cluster');
    } finally {
      cluster.workers = workers;
    }
    expect(log).toEqual([['slow', undefined, 1], 'slow done']);
  });

  it('hooks are told that it begins with nothing', async () => {
    const { agent } = await startApp([]);
    await agent.transfer('a', hooksOf(log, 'a'));
    expect(log).toEqual([['a', undefined, 1], 'a done']);
    expect(state.memberships[0].engine.epoch).toBe(1);
  });
});

test('a loop that ends with the tenure does not hold up a stop where there is nobody to hand over to', async () => {
  @Provide()
  @Scope(ScopeEnum.Singleton)
  class Loop extends Counter {
    @OnlyInPrimary()
    async untilEnd(): Promise<void> {
      const { tenure } = this.agent;
      while (!tenure?.aborted) {
        await pause(5);
      }
    }
  }
  for (const config of [{}, { group: 'loop' }]) {
    const app = await startApp([Loop], { ...config, stopTimeout: 60_000 });
    const loop = (await app.get(Loop)).untilEnd();
    // It would take a minute.
    await app.close();
    await loop;
  }
});
