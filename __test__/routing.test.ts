import { Aspect, type IMethodAspect, Inject, type JoinPoint, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { OnlyInPrimary, RunInPrimary } from '../ts';
import { methodsOf } from '../ts/decorator/registry';
import { attach, callPrimary } from '../ts/route';
import { state } from '../ts/state';
import { closeAll, type LightApp, startApp } from './support/light-app';
import { calls, election, LocalEngine } from './support/memory-engine';
import { Watched } from './support/watched';

jest.mock('../ts/engine/local', () => require('./support/memory-engine'), { virtual: true });

const GROUP = { group: 'routing' };
const around: string[] = [];

@Provide()
@Scope(ScopeEnum.Singleton)
class Counter {
  readonly self: object = this;
  count = 0;

  @RunInPrimary()
  async add(by: number) {
    this.count += by;
    return { count: this.count };
  }

  @RunInPrimary({ timeout: 500, idempotent: true })
  plain(): number {
    return this.count;
  }

  @RunInPrimary()
  async fail() {
    throw new RangeError('no');
  }

  @OnlyInPrimary()
  async tick(): Promise<string | undefined> {
    return 'ticked';
  }

  @OnlyInPrimary()
  tickPlain(): string | undefined {
    return 'ticked';
  }

  @OnlyInPrimary()
  async *ticks(): AsyncGenerator<number, string, number | undefined> {
    try {
      const given = yield 1;
      yield given ?? 2;
      return 'ticked';
    } finally {
      this.count = -1;
    }
  }

  @OnlyInPrimary()
  tickPromised(): Promise<string | undefined> {
    return Promise.resolve('ticked');
  }
}

@Provide()
@Scope(ScopeEnum.Singleton)
class Base {
  ran: string[] = [];

  @RunInPrimary()
  async inherited() {
    return this.constructor.name;
  }

  @RunInPrimary()
  async wrapped() {
    return ['base'];
  }

  @RunInPrimary()
  async overridden() {
    return ['base'];
  }
}

@Provide()
@Scope(ScopeEnum.Singleton)
class Derived extends Base {
  /** Not decorated: runs in the caller, and its `super` call in the primary. */
  override async wrapped() {
    return ['derived', ...(await super.wrapped())];
  }

  @RunInPrimary()
  override async overridden() {
    return ['derived', ...(await super.overridden())];
  }

  async onlyBase() {
    return super.overridden();
  }
}

@Provide()
class PerRequest {
  static made = 0;
  readonly number = ++PerRequest.made;

  @Inject()
  ctx!: object;

  @RunInPrimary()
  async look() {
    return { number: this.number, hasContext: this.ctx !== undefined };
  }
}

@Provide('ledger')
@Scope(ScopeEnum.Singleton)
class NamedById {
  @RunInPrimary()
  async run() {
    return 1;
  }

  @RunInPrimary({ name: 'ledger-total' })
  async total() {
    return 2;
  }
}

@Aspect(Watched)
class Watch implements IMethodAspect {
  async around(point: JoinPoint) {
    around.push(point.methodName);
    return point.proceed?.(...point.args);
  }
}

class Unbound {
  @RunInPrimary()
  async run() {}
}

const CLASSES = [Counter, Base, Derived, PerRequest, NamedById];
let primary: LightApp;
let worker: LightApp;

async function startTwo() {
  primary = await startApp(CLASSES, GROUP);
  worker = await startApp(CLASSES, GROUP);
  expect([primary.agent.role, worker.agent.role]).toEqual(['primary', 'worker']);
  calls.length = 0;
}

afterEach(async () => {
  election.hold = undefined;
  election.failure = undefined;
  delete process.env.MIDWAY_PROCESS_AGENT_GROUP;
  jest.restoreAllMocks();
  jest.useRealTimers();
  await closeAll();
  expect(LocalEngine.count).toBe(0);
});

describe('called in a worker, a decorated method', () => {
  beforeEach(startTwo);

  it('runs on the object of the primary', async () => {
    const [there, here] = [await primary.get(Counter), await worker.get(Counter)];
    expect(await here.add(2)).toEqual({ count: 2 });
    expect(await there.add(3)).toEqual({ count: 5 });
    expect([there.count, here.count]).toEqual([5, 0]);
    expect(calls).toEqual([{ name: 'Counter.add', args: [2], options: {} }]);
  });

  it('that is not async returns a promise, and passes its options on', async () => {
    const here = await worker.get(Counter);
    const result: unknown = here.plain();
    expect(result).toBeInstanceOf(Promise);
    expect(await result).toBe(0);
    expect(calls[0].options).toEqual({ timeout: 500, idempotent: true });
  });

  it('throws what was thrown there', async () => {
    await expect((await worker.get(Counter)).fail()).rejects.toThrow(RangeError);
  });

  it('that is inherited runs on an object of the subclass', async () => {
    expect(await (await worker.get(Derived)).inherited()).toBe('Derived');
    expect(await (await worker.get(Base)).inherited()).toBe('Base');
    expect(calls.map(each => each.name)).toEqual(['Derived.inherited', 'Base.inherited']);
  });

  it('and its super calls run once each, wherever the override runs', async () => {
    const derived = await worker.get(Derived);
    expect(await derived.overridden()).toEqual(['derived', 'base']);
    expect(await derived.wrapped()).toEqual(['derived', 'base']);
    expect(await derived.onlyBase()).toEqual(['base']);
    expect(calls.map(each => each.name)).toEqual(['Derived.overridden', 'Derived.wrapped', 'Derived.overridden^1']);
  });

  it('of a request scoped class runs on a new object in a context of its own', async () => {
    const here = await worker.getInRequest(PerRequest);
    const [first, second] = [await here.look(), await here.look()];
    expect(first).toEqual({ number: expect.any(Number), hasContext: true });
    expect(second.number).not.toBe(first.number);
    expect(first.number).not.toBe(here.number);
  });

  it('is named by the provider id, or as it says', async () => {
    const here = await worker.get(NamedById);
    expect([await here.run(), await here.total()]).toEqual([1, 2]);
    expect(calls.map(each => each.name)).toEqual(['ledger.run', 'ledger-total']);
  });

  it('of a class that was bound after the start is found', async () => {
    @Provide()
    @Scope(ScopeEnum.Singleton)
    class Late {
      @RunInPrimary()
      async run() {
        return 'late';
      }
    }
    primary.bind(Late);
    worker.bind(Late);
    expect(await (await worker.get(Late)).run()).toBe('late');
    expect(calls).toHaveLength(1);
  });

  it('is ambiguous on an object that no container made, when several applications live', async () => {
    await expect(new Counter().add(1)).rejects.toMatchObject({
      code: 'ERR_AGENT_AMBIGUOUS',
      outcome: 'not-sent',
      message: expect.stringContaining('Counter.add'),
    });
  });

  it('goes to the next primary after a handover', async () => {
    const [there, here] = [await primary.get(Counter), await worker.get(Counter)];
    const became: string[] = [];
    worker.agent.on('primary', () => became.push('primary'));
    primary.agent.once('worker', () => became.push('worker'));
    await primary.close();
    expect(became).toEqual(['worker', 'primary']);
    expect(await here.add(1)).toEqual({ count: 1 });
    await expect(there.add(1)).rejects.toMatchObject({ code: 'ERR_AGENT_CLOSED', outcome: 'not-sent' });
  });
});

test.each(['on', 'once', 'off'] as const)(
  '%s() refuses an event that there is none of, naming those there are',
  async name => {
    const { agent } = await startApp([], GROUP);
    const loose = agent as unknown as Record<string, (...args: unknown[]) => unknown>;
    for (const event of ['primry', '', undefined]) {
      expect(() => loose[name](event, () => {})).toThrow(
        expect.objectContaining({
          code: 'ERR_AGENT_CONFIG',
          message: `${name}(): there is no event '${event}'. Events: primary, worker, primary-changed, member-joined, member-left.`,
        }),
      );
    }
  },
);

describe('@OnlyInPrimary', () => {
  beforeEach(startTwo);

  it('runs the body in the primary and does nothing in a worker', async () => {
    const [there, here] = [await primary.get(Counter), await worker.get(Counter)];
    expect([await there.tick(), there.tickPlain(), await there.tickPromised()]).toEqual(['ticked', 'ticked', 'ticked']);
    expect([await here.tick(), here.tickPlain()]).toEqual([undefined, undefined]);
    const promised: unknown = here.tickPromised();
    expect(promised).toBeInstanceOf(Promise);
    expect(await promised).toBeUndefined();
    expect(calls).toEqual([]);
  });

  it('gives the generator in the primary and one of nothing in a worker', async () => {
    const [there, here] = [await primary.get(Counter), await worker.get(Counter)];
    const ticks = there.ticks();
    expect([await ticks.next(), await ticks.next(5), await ticks.next()]).toEqual([
      { done: false, value: 1 },
      { done: false, value: 5 },
      { done: true, value: 'ticked' },
    ]);
    there.count = 0;
    for await (const tick of there.ticks()) {
      expect(tick).toBe(1);
      break;
    }
    expect(there.count).toBe(-1);
    expect(await here.ticks().next()).toEqual({ done: true, value: undefined });
    expect([here.count, calls]).toEqual([0, []]);
  });

  it('does nothing after the application has been closed', async () => {
    const there = await primary.get(Counter);
    await primary.close();
    expect(await there.tick()).toBeUndefined();
  });
});

describe('aspects', () => {
  it('run once, in the caller', async () => {
    await startApp([Watched], GROUP);
    const caller = await startApp([Watched, Watch], GROUP);
    expect(await (await caller.get(Watched)).run()).toBe('ran');
    expect(around).toEqual(['run']);
  });
});

describe('a class that the container does not know', () => {
  it('cannot be called, and says so', async () => {
    await startTwo();
    await primary.agent.ready();
    const here = await worker.get(Counter);
    // Given away by the container's own object: only its membership is borrowed.
    const unbound = Object.assign(new Unbound(), {});
    for (const key of Object.getOwnPropertySymbols(here)) {
      const property = Object.getOwnPropertyDescriptor(here, key);
      if (property && String(key).includes('process-agent')) {
        Object.defineProperty(unbound, key, property);
      }
    }
    await expect(unbound.run()).rejects.toMatchObject({
      code: 'ERR_AGENT_UNKNOWN_METHOD',
      message: expect.stringContaining('container does not know the class Unbound'),
    });
  });
});

describe('handlers', () => {
  it('run in the primary, and never meet a method of the same name', async () => {
    await startTwo();
    primary.agent.handle('Counter.add', (by: number) => `handled ${by}`);
    expect(await worker.agent.call('Counter.add', [1])).toBe('handled 1');
    expect(await (await worker.get(Counter)).add(1)).toEqual({ count: 1 });
    await expect(worker.agent.call('unknown')).rejects.toMatchObject({ code: 'ERR_AGENT_UNKNOWN_METHOD' });
  });
});

describe('before the application has started', () => {
  function holdElection() {
    let release: () => void = () => {};
    election.hold = new Promise(resolve => {
      release = resolve;
    });
    return release;
  }

  it('a call waits for the election, and then runs', async () => {
    const release = holdElection();
    const starting = startApp(CLASSES, GROUP);
    while (state.memberships.length === 0) {
      await new Promise(setImmediate);
    }
    expect(state.memberships[0].role).toBeUndefined();
    const counter = new Counter();
    const [result, tick] = [counter.add(4), counter.tick()];
    expect(counter.count).toBe(0);
    expect(counter.tickPlain()).toBeUndefined();
    const ticks = counter.ticks().next();
    release();
    await starting;
    expect(await result).toEqual({ count: 4 });
    expect(await tick).toBe('ticked');
    expect(await ticks).toEqual({ done: false, value: 1 });
  });

  it('a call that waits sends what it was called with', async () => {
    primary = await startApp(CLASSES, GROUP);
    const release = holdElection();
    const starting = startApp(CLASSES, GROUP);
    while (state.memberships.length < 2) {
      await new Promise(setImmediate);
    }
    const self = new Counter();
    attach(self, state.memberships[1]);
    const args = [{ by: 1 }];
    calls.length = 0;
    const [method] = methodsOf(Counter).get('add') ?? [];
    const result = callPrimary(method, self, args).catch(err => err);
    args[0].by = 2;
    release();
    await starting;
    await result;
    expect(calls).toMatchObject([{ name: 'Counter.add', args: [{ by: 1 }] }]);
  });

  it('a call waits no longer than readyTimeout', async () => {
    const release = holdElection();
    const starting = startApp(CLASSES, { ...GROUP, readyTimeout: 500 });
    while (state.memberships.length === 0) {
      await new Promise(setImmediate);
    }
    await expect(new Counter().add(1)).rejects.toMatchObject({ code: 'ERR_AGENT_NOT_STARTED', outcome: 'not-sent' });
    release();
    await starting;
  });

  it('a failure to join fails the start, and leaves nothing', async () => {
    jest.spyOn(console, 'error').mockImplementation(() => {});
    election.failure = new Error('no folder');
    await expect(startApp(CLASSES, GROUP)).rejects.toThrow('no folder');
    expect(state.memberships).toEqual([]);
  });
});

describe('in a process of a group that never imported the component', () => {
  it('a call is refused in the end, and names the import', async () => {
    process.env.MIDWAY_PROCESS_AGENT_GROUP = 'routing';
    state.hasClosed = false;
    jest.useFakeTimers();
    const counter = new Counter();
    const refused = expect(counter.add(1)).rejects.toMatchObject({
      code: 'ERR_AGENT_NOT_STARTED',
      message: expect.stringMatching(/^Counter\.add: .* within 25000 ms.*imports: \[processAgent\]/),
    });
    await jest.advanceTimersByTimeAsync(25_000);
    await refused;
    expect(counter.count).toBe(0);
  });
});

describe('several applications in one process', () => {
  it('stop each for itself', async () => {
    const handOver = jest.spyOn(LocalEngine.prototype, 'handOver');
    const apps = [await startApp(CLASSES, GROUP), await startApp(CLASSES, GROUP), await startApp(CLASSES, GROUP)];
    const ids = (await apps[0].agent.members()).map(member => member.id);
    for (const [i, app] of apps.entries()) {
      handOver.mockClear();
      await app.close();
      expect(new Set(handOver.mock.contexts.map(engine => (engine as LocalEngine).self.id))).toEqual(new Set([ids[i]]));
    }
  });
});
