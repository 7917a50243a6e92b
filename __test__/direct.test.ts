import { types } from 'node:util';
import { Aspect, Destroy, type IMethodAspect, Init, type JoinPoint, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary } from '../ts';
import { goAsync, goDirect, joins } from '../ts/decorator/direct';
import { state } from '../ts/state';
import { closeAll, type LightApp, startApp } from './support/light-app';
import { election, LocalEngine } from './support/memory-engine';
import { Watched } from './support/watched';

jest.mock('../ts/engine/local', () => require('./support/memory-engine'), { virtual: true });

const GROUP = { group: 'direct' };

function tagged(_target: object, _key: string, descriptor: PropertyDescriptor) {
  descriptor.value.tag = 'kept';
}

@Provide()
@Scope(ScopeEnum.Singleton)
class Account {
  balance = 10;

  @tagged
  @RunInPrimary()
  async deposit(amount: number, _note?: string) {
    if (amount < 0) {
      throw new RangeError('less than nothing');
    }
    this.balance += amount;
    return this.balance;
  }

  @RunInPrimary()
  promised(): Promise<number> {
    return Promise.resolve(this.balance);
  }

  @RunInPrimary()
  async *entries() {
    yield this.balance;
  }
}

@Provide()
@Scope(ScopeEnum.Singleton)
class Savings extends Account {
  @RunInPrimary()
  override async deposit(amount: number) {
    return await super.deposit(2 * amount);
  }
}

const returned: unknown[] = [];

@Aspect(Watched)
class Watch implements IMethodAspect {
  async afterReturn(_point: JoinPoint, result: unknown) {
    returned.push(result);
  }
}

const CLASSES = [Account, Savings, Watched, Watch];
const order: string[] = [];

@Provide()
@Scope(ScopeEnum.Request)
class Cache {
  loaded = false;

  @Init()
  @RunInPrimary()
  async load() {
    await new Promise(setImmediate);
    this.loaded = true;
  }

  @Destroy()
  @RunInPrimary()
  async unload() {}

  @RunInPrimary()
  async size() {
    return 1;
  }
}

@Provide()
@Scope(ScopeEnum.Request)
class SmallCache extends Cache {}

@Provide()
@Scope(ScopeEnum.Singleton)
class WatchedLater {
  @RunInPrimary()
  async run() {
    order.push('ran');
  }
}

class WatchLater implements IMethodAspect {
  async before() {
    await new Promise(setImmediate);
    order.push('before');
  }
  async afterReturn(_point: JoinPoint, result: unknown) {
    order.push(`returned ${result}`);
  }
}
const methodOf = (cls: { prototype: object }, key: string) =>
  (cls.prototype as Record<string, (...args: unknown[]) => unknown>)[key];

afterEach(async () => {
  election.hold = undefined;
  jest.restoreAllMocks();
  await closeAll();
  expect(LocalEngine.count).toBe(0);
});

async function startTwo(): Promise<{ primary: LightApp; worker: LightApp }> {
  const [primary, worker] = [await startApp(CLASSES, GROUP), await startApp(CLASSES, GROUP)];
  return { primary, worker };
}

/** Another application, in the middle of its start. */
async function startHeld() {
  let release: () => void = () => {};
  election.hold = new Promise(resolve => {
    release = resolve;
  });
  const before = state.memberships.length;
  const starting = startApp(CLASSES, GROUP);
  while (state.memberships.length === before) {
    await new Promise(setImmediate);
  }
  return {
    goOn: async () => {
      release();
      await starting;
    },
  };
}

describe('a decorated async method', () => {
  it('is one while an application starts and after it has ended, and gives back its promise in between', async () => {
    const looks = () => types.isAsyncFunction(methodOf(Account, 'deposit'));
    expect(looks()).toBe(true);
    const app = await startApp(CLASSES, GROUP);
    expect(looks()).toBe(false);
    expect(await (await app.get(Account)).deposit(1)).toBe(11);
    await app.close();
    expect(looks()).toBe(true);
  });

  it('does the same then, and looks the same', async () => {
    const before = methodOf(Account, 'deposit');
    const { primary, worker } = await startTwo();
    const deposit = methodOf(Account, 'deposit');
    expect(deposit).not.toBe(before);
    expect([deposit.name, deposit.length, Object.keys(deposit)]).toEqual(['deposit', before.length, ['tag']]);
    expect(Object.getOwnPropertyDescriptor(Account.prototype, 'deposit')).toMatchObject({ enumerable: false });
    for (const app of [primary, worker]) {
      const account = await app.get(Account);
      expect(account.deposit(1)).toBeInstanceOf(Promise);
      await expect(account.deposit(-1)).rejects.toThrow(RangeError);
    }
    expect((await primary.get(Account)).balance).toBe(12);
    expect(await (await worker.get(Savings)).deposit(5)).toBe(20);
  });

  it('rejects when the application has ended', async () => {
    const app = await startApp(CLASSES, GROUP);
    const account = await app.get(Account);
    const deposit = methodOf(Account, 'deposit');
    await app.close();
    await expect(deposit.call(account, 1)).rejects.toMatchObject({ code: 'ERR_AGENT_CLOSED' });
  });

  it('stays what somebody has wrapped it in', async () => {
    const { worker } = await startTwo();
    expect(types.isAsyncFunction(methodOf(Watched, 'run'))).toBe(true);
    returned.length = 0;
    expect(await (await worker.get(Watched)).run()).toBe('ran');
    expect(returned).toContain('ran');
    await closeAll();
    const spy = jest.spyOn(Account.prototype, 'deposit').mockResolvedValue(7);
    const app = await startApp(CLASSES, GROUP);
    expect(await (await app.get(Account)).deposit(1)).toBe(7);
    await app.close();
    expect(methodOf(Account, 'deposit')).toBe(spy);
  });

  it('is an async function again for the next application, also when a spy has stood there at the end of the last', async () => {
    const app = await startApp(CLASSES, GROUP);
    const spy = jest.spyOn(Account.prototype, 'deposit');
    await app.close();
    spy.mockRestore();
    const looks = () => types.isAsyncFunction(methodOf(Account, 'deposit'));
    expect(looks()).toBe(false);
    const starting = await startHeld();
    expect(looks()).toBe(true);
    await starting.goOn();
    expect(looks()).toBe(false);
  });

  it('is an async function also for the aspects of an application that starts later', async () => {
    const first = await startApp([WatchedLater], GROUP);
    expect(types.isAsyncFunction(methodOf(WatchedLater, 'run'))).toBe(false);
    Aspect(WatchedLater)(WatchLater);
    const second = await startApp([WatchedLater, WatchLater], GROUP);
    await (await second.get(WatchedLater)).run();
    expect(order).toEqual(['before', 'ran', 'returned undefined']);
    await second.close();
    await first.close();
  });

  it('is exchanged for the applications that are left when one ends, and not while one starts', async () => {
    const looks = () => types.isAsyncFunction(methodOf(Account, 'deposit'));
    const { primary, worker } = await startTwo();
    expect(looks()).toBe(false);
    const third = await startHeld();
    expect(looks()).toBe(true);
    // Midway itself can't end one application while another one starts.
    await state.memberships[1].close();
    expect(looks()).toBe(true);
    await third.goOn();
    expect(looks()).toBe(false);
    await worker.close();
    expect(looks()).toBe(false);
    await primary.close();
    expect(looks()).toBe(false);
  });
});

it('a method that Midway calls when it makes or ends an object stays an async function, for which it waits', async () => {
  const app = await startApp([Cache, SmallCache], GROUP);
  for (const cls of [Cache, SmallCache]) {
    expect((await app.getInRequest(cls)).loaded).toBe(true);
  }
  expect(['load', 'unload', 'size'].map(key => types.isAsyncFunction(methodOf(Cache, key)))).toEqual([
    true,
    true,
    false,
  ]);
});

it('a method is not exchanged between the loading of an application and its joining', async () => {
  const looks = () => types.isAsyncFunction(methodOf(Account, 'deposit'));
  await startApp(CLASSES, GROUP);
  goAsync();
  goDirect();
  expect(looks()).toBe(true);
  joins();
  goDirect();
  expect(looks()).toBe(false);
});

it('a method of another kind stays as it is', async () => {
  const before = ['promised', 'entries'].map(key => methodOf(Account, key));
  await startApp(CLASSES, GROUP);
  expect(['promised', 'entries'].map(key => methodOf(Account, key))).toEqual(before);
});
