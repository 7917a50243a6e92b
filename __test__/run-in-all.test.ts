import { Inject, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { ProcessAgentError, ProcessAgentService, RunInAll, RunInPrimary } from '../ts';
import { state } from '../ts/state';
import { closeAll, type LightApp, startApp } from './support/light-app';
import { election, gathers } from './support/memory-engine';

jest.mock('../ts/engine/local', () => require('./support/memory-engine'), { virtual: true });

const GROUP = { group: 'run-in-all' };
// biome-ignore lint/suspicious/noExplicitAny: what a JavaScript user may write.
const loose = { RunInAll } as any;

@Provide()
@Scope(ScopeEnum.Singleton)
class Cache {
  readonly received: unknown[][] = [];
  failure: unknown;

  @RunInAll()
  async set(...args: unknown[]): Promise<void> {
    this.received.push(args);
    if (this.failure) {
      throw this.failure;
    }
  }

  @RunInAll({ timeout: 50 })
  plain(value: object): Promise<void> {
    this.received.push([value]);
    return Promise.resolve();
  }

  @RunInAll()
  async change(list: number[]): Promise<void> {
    list.push(list.length);
    this.received.push([list]);
  }
}

@Provide()
@Scope(ScopeEnum.Singleton)
class Base {
  ran: string[] = [];

  @RunInAll()
  async refresh(): Promise<void> {
    this.ran.push('base');
  }

  @RunInAll()
  async wrapped(): Promise<void> {
    this.ran.push('base');
  }
}

@Provide()
@Scope(ScopeEnum.Singleton)
class Derived extends Base {
  @RunInAll()
  override async refresh(): Promise<void> {
    this.ran.push('derived');
    await super.refresh();
  }

  /** Not decorated: it runs here, and what it calls by `super` in all. */
  override async wrapped(): Promise<void> {
    this.ran.push('derived');
    await super.wrapped();
  }
}

@Provide()
class PerRequest {
  static seen: { hasContext: boolean }[] = [];

  @Inject()
  ctx!: object;

  @RunInAll()
  async look(): Promise<void> {
    PerRequest.seen.push({ hasContext: this.ctx !== undefined });
  }
}

/** One key, in the primary in one class, in all members in the other. */
@Provide('twin')
@Scope(ScopeEnum.Singleton)
class Twin {
  @RunInPrimary()
  async run() {
    return 'primary';
  }
}

@Provide('heir')
@Scope(ScopeEnum.Singleton)
class Heir extends Twin {
  ran = 0;

  @loose.RunInAll()
  override async run() {
    this.ran++;
    return super.run();
  }
}

@Provide()
@Scope(ScopeEnum.Singleton)
class Asks {
  @Inject()
  agent!: ProcessAgentService;

  callers: (number | undefined)[] = [];

  @RunInAll()
  async note(): Promise<void> {
    this.callers.push(this.agent.currentCall()?.member.id);
  }
}

const CLASSES = [Cache, Base, Derived, PerRequest, Twin, Heir, Asks];

async function startGroup(count: number): Promise<LightApp[]> {
  const apps: LightApp[] = [];
  for (let i = 0; i < count; i++) {
    apps.push(await startApp(CLASSES, GROUP));
  }
  gathers.length = 0;
  return apps;
}

function all<T>(apps: LightApp[], cls: new () => T): Promise<T[]> {
  return Promise.all(apps.map(app => app.get(cls)));
}

async function partialOf(call: Promise<unknown>): Promise<ProcessAgentError> {
  const error = await call.then(
    () => undefined,
    err => err,
  );
  expect(error).toBeInstanceOf(ProcessAgentError);
  return error;
}

beforeEach(() => {
  PerRequest.seen = [];
});

afterEach(async () => {
  election.hold = undefined;
  jest.restoreAllMocks();
  await closeAll();
});

describe('a method under @RunInAll()', () => {
  it('runs in every member, with the real objects where it is called and copies elsewhere', async () => {
    const caches = await all(await startGroup(3), Cache);
    const value = { when: new Date(0) };
    expect(await caches[1].set(value, 2)).toBeUndefined();
    expect(caches.map(each => each.received)).toEqual([[[value, 2]], [[value, 2]], [[value, 2]]]);
    expect(caches.map(each => each.received[0][0] === value)).toEqual([false, true, false]);
    expect(gathers).toEqual([{ name: '*Cache.set', args: [value, 2], timeout: 5_000, carrier: undefined }]);
  });

  it('reaches the others as it was called, whatever it does to its arguments here', async () => {
    const caches = await all(await startGroup(3), Cache);
    const list = [7];
    await caches[2].change(list);
    expect(caches.map(each => each.received)).toEqual([[[[7, 1]]], [[[7, 1]]], [[[7, 1]]]]);
    expect(list).toEqual([7, 1]);
  });

  it('that is not async returns a promise as well, and passes its timeout on', async () => {
    const caches = await all(await startGroup(2), Cache);
    expect(caches[0].plain({})).toBeInstanceOf(Promise);
    expect(gathers[0].timeout).toBe(50);
  });

  it('rejects with what each member made of it when one of them has failed', async () => {
    const caches = await all(await startGroup(3), Cache);
    caches[2].failure = new RangeError('full');
    const error = await partialOf(caches[0].set(1));
    expect(error.code).toBe('ERR_AGENT_PARTIAL');
    expect(error.message).toBe(`Cache.set: failed in 1 of 3 members, first in pid ${process.pid}: full`);
    expect(error.cause).toBe(caches[2].failure);
    expect(error.outcomes?.map(each => each.status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    expect(caches.map(each => each.received.length)).toEqual([1, 1, 1]);
  });

  it('counts its own failure as that of a member', async () => {
    const caches = await all(await startGroup(2), Cache);
    for (const cache of caches) {
      cache.failure = 'no error object';
    }
    const error = await partialOf(caches[1].set(1));
    expect(error.message).toContain('failed in 2 of 2 members');
    expect(error.message).toContain('no error object');
  });

  it('runs nowhere with arguments that cannot be sent', async () => {
    const caches = await all(await startGroup(2), Cache);
    const error = await partialOf(caches[1].set(() => {}));
    expect(error).toMatchObject({ code: 'ERR_AGENT_NOT_SERIALIZABLE', outcome: 'not-sent' });
    expect(caches.map(each => each.received)).toEqual([[], []]);
  });

  it('runs once in each member when an override calls super', async () => {
    const derived = await all(await startGroup(2), Derived);
    await derived[1].refresh();
    expect(derived.map(each => each.ran)).toEqual([
      ['derived', 'base'],
      ['derived', 'base'],
    ]);
    await derived[1].wrapped();
    expect(derived.map(each => each.ran.slice(2))).toEqual([['base'], ['derived', 'base']]);
  });

  it('asks all again when it is called on after such a run', async () => {
    const bases = await all(await startGroup(2), Base);
    await bases[0].refresh();
    await bases[1].refresh();
    expect(bases.map(each => each.ran.length)).toEqual([2, 2]);
  });

  it('of a request scoped class runs on an object in a context of its own elsewhere', async () => {
    const [, worker] = await startGroup(2);
    await (await worker.getInRequest(PerRequest)).look();
    expect(PerRequest.seen).toEqual([{ hasContext: true }, { hasContext: true }]);
  });

  it('is never taken for one under @RunInPrimary() that it overrides', async () => {
    const heirs = await all(await startGroup(2), Heir);
    await heirs[1].run();
    expect(heirs.map(each => each.ran)).toEqual([1, 1]);
    expect(gathers.map(each => each.name)).toEqual(['*heir.run']);
  });

  it('sees its caller as the current call, in every member', async () => {
    const apps = await startGroup(2);
    const asks = await all(apps, Asks);
    await asks[1].note();
    const [id] = asks[1].callers;
    expect(id).toEqual(expect.any(Number));
    expect(asks[0].callers).toEqual([id]);
  });
});

describe('without a group to ask, a method under @RunInAll()', () => {
  it('runs as it is in a unit test that has no application', async () => {
    const cache = new Cache();
    const callback = () => {};
    await cache.set(callback);
    expect(cache.received).toEqual([[callback]]);
    cache.failure = new RangeError('full');
    await expect(cache.set(1)).rejects.toBe(cache.failure);
  });

  it('fails in a standalone application as it would in a group of many', async () => {
    const app = await startApp([Cache]);
    const cache = await app.get(Cache);
    await cache.set(1);
    cache.failure = new RangeError('full');
    const error = await partialOf(cache.set(2));
    expect(error).toMatchObject({
      code: 'ERR_AGENT_PARTIAL',
      outcomes: [{ status: 'rejected', reason: cache.failure, member: { id: 1, pid: process.pid } }],
    });
    expect(cache.received).toEqual([[1], [2]]);
  });

  it('runs locally after a standalone application has been closed', async () => {
    const app = await startApp([Cache]);
    const cache = await app.get(Cache);
    await app.close();
    await cache.set(1);
    expect(cache.received).toEqual([[1]]);
  });
});

describe('outside the life of an application of a group, a method under @RunInAll()', () => {
  it('waits for the start, and then reaches all with what it was called with', async () => {
    let release: () => void = () => {};
    election.hold = new Promise(resolve => {
      release = resolve;
    });
    const starting = startApp(CLASSES, GROUP);
    while (state.memberships.length === 0) {
      await new Promise(setImmediate);
    }
    const cache = new Cache();
    const value = { n: 1 };
    const done = cache.set(value);
    value.n = 2;
    expect(cache.received).toEqual([]);
    release();
    await starting;
    await done;
    expect(gathers.at(-1)).toMatchObject({ name: '*Cache.set', args: [{ n: 1 }] });
  });

  it('is refused after the end', async () => {
    const [app] = await startGroup(1);
    const cache = await app.get(Cache);
    await app.close();
    await expect(cache.set(1)).rejects.toMatchObject({ code: 'ERR_AGENT_CLOSED', outcome: 'not-sent' });
    expect(cache.received).toEqual([]);
  });
});
