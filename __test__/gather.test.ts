import { Aspect, type IMethodAspect, type JoinPoint, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import type { MemberOutcome } from '../ts';
import { state } from '../ts/state';
import { closeAll, type LightApp, startApp } from './support/light-app';
import { election, gathers } from './support/memory-engine';
import { until } from './support/until';

jest.mock('../ts/engine/local', () => require('./support/memory-engine'), { virtual: true });

const GROUP = { group: 'gather' };
const around: string[] = [];

class Ancestor {
  inherited() {
    return `inherited by ${this.constructor.name}`;
  }
}

@Provide()
@Scope(ScopeEnum.Singleton)
class Store extends Ancestor {
  static made = 0;
  readonly number = ++Store.made;
  kept: object[] = [];
  property = () => 'a property';

  constructor() {
    super();
    this.kept = [{ number: this.number }];
  }

  size(): number {
    return this.number;
  }

  async keep(value: object): Promise<object[]> {
    this.kept.push(value);
    return this.kept;
  }

  fail(): void {
    throw new RangeError(`store ${this.number}`);
  }

  leak() {
    return { socket: { close: () => {} } };
  }

  get computed() {
    throw new Error('It was read.');
  }
}

@Provide()
class Thenable {
  run() {}

  // biome-ignore lint/suspicious/noThenProperty: a user's class may have it.
  then() {}
}

@Provide()
class PerRequest {
  ask(what: string) {
    return `${what} per request`;
  }
}

@Provide()
class Watched {
  ask(what: string) {
    return what;
  }
}

@Aspect(Watched)
class Watch implements IMethodAspect {
  before(point: JoinPoint) {
    around.push(point.methodName);
  }
}

class Unbound {
  run() {}
}

let apps: LightApp[];

async function startGroup(
  count: number,
  classes: (new (...args: never[]) => unknown)[] = [Store, PerRequest, Thenable],
) {
  Store.made = 0;
  apps = [];
  for (let i = 0; i < count; i++) {
    apps.push(await startApp(classes, GROUP));
  }
  gathers.length = 0;
}

function values<T>(outcomes: MemberOutcome<T>[]): (T | string)[] {
  return outcomes.map(each => (each.status === 'fulfilled' ? each.value : String(each.reason)));
}

afterEach(async () => {
  election.hold = undefined;
  jest.useRealTimers();
  jest.restoreAllMocks();
  await closeAll();
});

describe('gather()', () => {
  it('gives the outcome of every member, its own included', async () => {
    await startGroup(3);
    for (const [index, app] of apps.entries()) {
      app.agent.handle('index', (add: number) => {
        if (index === 1) {
          throw new RangeError('not me');
        }
        return index + add;
      });
    }
    const outcomes = await apps[2].agent.gather('index', [10]);
    expect(values(outcomes)).toEqual([10, 'RangeError: not me', 12]);
    expect(outcomes.map(each => each.member.pid)).toEqual([process.pid, process.pid, process.pid]);
    expect(gathers[0]).toMatchObject({ name: '#index', timeout: 5_000 });
    await apps[0].agent.gather('index', [1], { timeout: 7 });
    expect(gathers[1].timeout).toBe(7);
  });

  it('says which member has no handler of that name', async () => {
    await startGroup(2);
    apps[0].agent.handle('half', () => 'here');
    const [there, own] = await apps[1].agent.gather('half');
    expect(there).toMatchObject({ status: 'fulfilled', value: 'here' });
    expect(own).toMatchObject({
      status: 'rejected',
      reason: { code: 'ERR_AGENT_UNKNOWN_METHOD', outcome: 'not-sent' },
    });
  });

  it('shares no object with any handler, its own included', async () => {
    await startGroup(2);
    const received: object[] = [];
    const kept = { n: 1 };
    for (const { agent } of apps) {
      agent.handle('keep', (value: object) => {
        received.push(Object.assign(value, { changed: received.length }));
        return kept;
      });
    }
    const value = { n: 0 };
    const outcomes = await apps[0].agent.gather('keep', [value]);
    expect(value).toEqual({ n: 0 });
    expect(new Set(received).size).toBe(2);
    expect(values(outcomes)).toEqual([kept, kept]);
    expect(values(outcomes).some(each => each === kept)).toBe(false);
  });

  it('rejects for a member whose result cannot be sent, its own included', async () => {
    await startGroup(1);
    apps[0].agent.handle('leak', () => ({ fn: () => {} }));
    expect(await apps[0].agent.gather('leak')).toMatchObject([
      {
        status: 'rejected',
        reason: {
          code: 'ERR_AGENT_NOT_SERIALIZABLE',
          outcome: 'executed',
          message: expect.stringContaining('result.fn'),
        },
      },
    ]);
  });

  it.each([
    ['an async generator', () => (async function* () {})()],
    ['a promise of one', async () => (async function* () {})()],
    ['an async iterable', () => ({ [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true }) }) })],
  ])('rejects for a member whose result is %s, its own included, in a group and alone', async (_, handler) => {
    await startGroup(1);
    apps.push(await startApp([]));
    for (const { agent } of apps) {
      agent.handle('stream', handler);
      expect(await agent.gather('stream')).toMatchObject([
        {
          status: 'rejected',
          reason: {
            code: 'ERR_AGENT_NOT_SERIALIZABLE',
            outcome: 'executed',
            message: expect.stringMatching(/^stream: the result is an async iterable/),
          },
        },
      ]);
    }
  });

  it.each([
    [['name', [() => {}]], 'ERR_AGENT_NOT_SERIALIZABLE', 'name: args[0] is a function'],
    [['x'.repeat(201)], 'ERR_AGENT_CONFIG', 'gather(): a name is a string of 1 to 200 characters.'],
    [['name', 'args'], 'ERR_AGENT_CONFIG', "gather('name'): the arguments must be an array."],
    [['name', [], { timeout: 0 }], 'ERR_AGENT_CONFIG', 'gather(): timeout must be a whole number of milliseconds'],
    [['name', [], { signal: 1 }], 'ERR_AGENT_CONFIG', "gather() has no option 'signal'. Options: timeout."],
    [['name', [], null], 'ERR_AGENT_CONFIG', 'gather() takes an object of options, or nothing.'],
  ])('asks nobody with %p', async (args, code, message) => {
    await startGroup(2);
    const gather = apps[0].agent.gather as (...args: unknown[]) => Promise<unknown>;
    await expect(gather.apply(apps[0].agent, args)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
    expect(gathers).toEqual([]);
  });

  it('waits for the start, and asks what was asked then', async () => {
    let release: () => void = () => {};
    election.hold = new Promise(resolve => {
      release = resolve;
    });
    const onReady = jest.fn();
    const starting = startApp([], GROUP, { onReady });
    while (state.memberships.length === 0) {
      await new Promise(setImmediate);
    }
    const { gather } = jest.requireActual('../ts/calls') as typeof import('../ts/calls');
    const args = [{ n: 1 }];
    const asked = gather(state.memberships[0], 'later', args, undefined);
    args[0].n = 2;
    release();
    const { agent } = await starting;
    agent.handle('later', (value: unknown) => value);
    await asked;
    expect(gathers.at(-1)).toMatchObject({ name: '#later', args: [{ n: 1 }] });
  });
});

describe('in a standalone application, gather()', () => {
  it('gives its own outcome', async () => {
    const { agent } = await startApp([]);
    agent.handle('add', (a: number, b: number) => a + b);
    expect(await agent.gather('add', [1, 2])).toMatchObject([
      { status: 'fulfilled', value: 3, member: { id: 1, pid: process.pid, deployment: 'standalone', role: 'primary' } },
    ]);
  });

  it('waits no longer than its timeout, and tells the handler so', async () => {
    const { agent } = await startApp([]);
    let signal: AbortSignal | undefined;
    agent.handle('hang', () => {
      signal = agent.currentCall()?.signal;
      return new Promise(() => {});
    });
    expect(await agent.gather('hang', [], { timeout: 10 })).toMatchObject([
      { status: 'rejected', reason: { code: 'ERR_AGENT_TIMEOUT', outcome: 'unknown' } },
    ]);
    await until(() => signal?.aborted, { what: 'the signal' });
  });

  it('is refused after the end', async () => {
    const { agent, close } = await startApp([]);
    await close();
    await expect(agent.gather('add')).rejects.toMatchObject({ code: 'ERR_AGENT_CLOSED' });
  });
});

describe('inAll()', () => {
  it("runs a method on each member's own object", async () => {
    await startGroup(3);
    const sizes = await apps[1].agent.inAll(Store).size();
    expect(values(sizes).sort()).toEqual([1, 2, 3]);
    expect(gathers).toMatchObject([{ name: '&Store.size', args: [], timeout: 5_000 }]);
    expect(values(await apps[1].agent.inAll(Store).inherited())).toEqual(Array(3).fill('inherited by Store'));
  });

  it('gives errors and copies, its own included', async () => {
    await startGroup(2);
    const stores = await Promise.all(apps.map(app => app.get(Store)));
    const value = { n: 0 };
    const outcomes = values(await apps[0].agent.inAll(Store).keep(value));
    expect(outcomes).toEqual([
      [{ number: 1 }, value],
      [{ number: 2 }, value],
    ]);
    stores.forEach((store, index) => {
      expect(store.kept).not.toBe(outcomes[index]);
      expect(store.kept[1]).not.toBe(value);
    });
    expect(values(await apps[0].agent.inAll(Store).fail())).toEqual(['RangeError: store 1', 'RangeError: store 2']);
    expect(values(await apps[0].agent.inAll(Store).leak())).toEqual(
      Array(2).fill(expect.stringContaining('result.socket.close')),
    );
  });

  it('runs request scoped classes on new objects', async () => {
    await startGroup(2);
    const outcomes = await apps[0].agent.inAll(PerRequest, { timeout: 9 }).ask('once');
    expect(values(outcomes)).toEqual(['once per request', 'once per request']);
    expect(gathers[0].timeout).toBe(9);
  });

  it('runs the aspects of each member', async () => {
    await startGroup(1, [Watched]);
    // The class is one in this process, so its aspects are those of all.
    const { agent } = await startApp([Watched, Watch], GROUP);
    expect(values(await agent.inAll(Watched).ask('twice'))).toEqual(['twice', 'twice']);
    expect(around).toEqual(['ask', 'ask']);
  });

  it('has the methods of the class, and nothing else', async () => {
    await startGroup(1);
    const store = apps[0].agent.inAll(Store);
    expect(Object.keys(store).sort()).toEqual(['fail', 'inherited', 'keep', 'leak', 'size']);
    const anything = store as unknown as Record<string, unknown>;
    for (const key of ['constructor', 'toString', '__proto__', 'computed', 'property', 'kept']) {
      expect(anything[key]).toBeUndefined();
    }
  });

  it('is no promise, whatever the class has', async () => {
    await startGroup(1);
    const thenable = apps[0].agent.inAll(Thenable);
    expect(Object.keys(thenable)).toEqual(['run']);
    expect(await thenable).toBe(thenable);
  });

  it('asks nobody about a class that the container does not know', async () => {
    await startGroup(1);
    await expect(apps[0].agent.inAll(Unbound).run()).rejects.toMatchObject({
      code: 'ERR_AGENT_UNKNOWN_METHOD',
      outcome: 'not-sent',
      message: expect.stringContaining('inAll(Unbound)'),
    });
    expect(() => apps[0].agent.inAll(undefined as never)).toThrow('inAll() takes a class.');
    expect(gathers).toEqual([]);
  });

  it('is ambiguous for classes that cannot be told apart', async () => {
    const makeTwin = (id?: string) => {
      @Provide(id as string)
      class Twin {
        id() {
          return id;
        }
      }
      return Twin;
    };
    const [one, two, named] = [makeTwin(), makeTwin(), makeTwin('named')];
    await startGroup(1, [one, two, named]);
    await expect(apps[0].agent.inAll(one).id()).rejects.toMatchObject({ code: 'ERR_AGENT_AMBIGUOUS' });
    expect(values(await apps[0].agent.inAll(named).id())).toEqual(['named']);
  });

  it.each([
    '&Store.constructor',
    '&Thenable.then',
    '&Store.property',
    '&Store.computed',
    '&Store.kept',
    '&Store.toString',
    '&Store.hasOwnProperty',
    '&Store.__proto__',
    '&Store.__defineGetter__',
    '&Store.',
    '&Store',
    '&.size',
    '&',
    '&Unbound.run',
    '&Object.keys',
  ])('runs nothing for the name %p, from wherever it comes', async name => {
    await startGroup(1);
    const [membership] = state.memberships;
    expect(() => membership.invoke(name, [], undefined)).toThrow(
      expect.objectContaining({ code: 'ERR_AGENT_UNKNOWN_METHOD', outcome: 'not-sent' }),
    );
  });
});
