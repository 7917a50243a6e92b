import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary } from '../ts';
import { closeAll, type LightApp, startApp } from './support/light-app';
import { recordLog } from './support/log';
import { calls } from './support/memory-engine';

jest.mock('../ts/engine/local', () => require('./support/memory-engine'), { virtual: true });

const GROUP = { group: 'streams' };

@Provide()
@Scope(ScopeEnum.Singleton)
class Lines {
  readonly log: unknown[] = [];

  @RunInPrimary()
  async *count(to: number): AsyncGenerator<number, string, string | undefined> {
    this.log.push('begin');
    try {
      for (let i = 0; i < to; i++) {
        this.log.push(yield i);
      }
      return 'all';
    } finally {
      this.log.push('end');
    }
  }

  @RunInPrimary()
  async *fail(): AsyncIterable<number> {
    yield 1;
    throw new RangeError('in the middle');
  }

  @RunInPrimary()
  async promised(to: number): Promise<AsyncIterable<number>> {
    return this.count(to);
  }

  @RunInPrimary()
  plain(to: number): AsyncIterable<number> {
    return this.count(to);
  }

  @RunInPrimary()
  undeclared(to: number) {
    return this.count(to);
  }

  @RunInPrimary()
  declared(): Promise<number> {
    return Promise.resolve(1);
  }

  // biome-ignore lint/suspicious/noExplicitAny: another version of the application may have it so.
  @RunInPrimary({ name: 'other-version' }) async *newer(): any {}
}

let here: Lines;
let there: Lines;
let primary: LightApp;

beforeEach(async () => {
  primary = await startApp([Lines], GROUP);
  const worker = await startApp([Lines], GROUP);
  there = await primary.get(Lines);
  here = await worker.get(Lines);
  calls.length = 0;
});

afterEach(async () => {
  jest.restoreAllMocks();
  await closeAll();
});

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) {
    items.push(item);
  }
  return items;
}

describe.each([
  ['in a worker', () => here],
  ['in the primary', () => there],
])('%s, a generator method', (where, lines) => {
  it('gives an async generator at once, which begins at the first next()', async () => {
    const stream = lines().count(3);
    expect(stream[Symbol.asyncIterator]()).toBe(stream);
    await new Promise(setImmediate);
    expect([calls.length, there.log]).toEqual([0, []]);
    expect(await all(stream)).toEqual([0, 1, 2]);
    expect(there.log).toEqual(['begin', undefined, undefined, undefined, 'end']);
    expect(calls.length).toBe(where === 'in a worker' ? 1 : 0);
  });

  it('that is returned before it has begun runs nothing', async () => {
    const stream = lines().count(3);
    expect(await stream.return('early')).toEqual({ done: true, value: 'early' });
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    expect([calls.length, there.log]).toEqual([0, []]);
  });

  it('into which is thrown before it has begun runs nothing', async () => {
    const stream = lines().count(3);
    await expect(stream.throw(new RangeError('early'))).rejects.toThrow('early');
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    expect([calls.length, there.log]).toEqual([0, []]);
  });

  it('ends in the primary when its reader leaves it', async () => {
    for await (const item of lines().count(3)) {
      if (item === 1) {
        break;
      }
    }
    expect(there.log).toEqual(['begin', undefined, 'end']);
  });

  it('throws in the middle what it has thrown', async () => {
    const stream = lines().fail()[Symbol.asyncIterator]();
    expect(await stream.next()).toEqual({ done: false, value: 1 });
    await expect(stream.next()).rejects.toThrow(new RangeError('in the middle'));
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });
});

describe('in every process, what a method returns can be looped over', () => {
  it('if it is async, when it has been awaited', async () => {
    for (const lines of [there, here]) {
      expect(await all(await lines.promised(2))).toEqual([0, 1]);
    }
  });

  it('if it is not async and not declared to return a promise, at once', async () => {
    for (const lines of [there, here]) {
      expect(await all(lines.plain(2))).toEqual([0, 1]);
      expect(await all(lines.undeclared(2))).toEqual([0, 1]);
    }
    expect(calls).toHaveLength(2);
  });
});

describe('in a worker, the promise of a method that is not async', () => {
  it('looks like any other promise', async () => {
    const promise: unknown = here.plain(2);
    expect(promise).toBeInstanceOf(Promise);
    expect(Symbol.asyncIterator in here.declared()).toBe(false);
    expect(Object.entries(promise as object)).toEqual([]);
    expect(JSON.stringify(promise)).toBe('{}');
    expect(await all((await promise) as AsyncIterable<number>)).toEqual([0, 1]);
  });

  it('throws to its reader what the method has thrown', async () => {
    jest.spyOn(there, 'count').mockImplementation(() => {
      throw new RangeError('at once');
    });
    await expect(all(here.plain(2))).rejects.toThrow('at once');
  });
});

describe('a generator method of which the primary has another version', () => {
  it('says so', async () => {
    const { invoke } = require('../ts/membership').Membership.prototype;
    jest.spyOn(require('../ts/membership').Membership.prototype, 'invoke').mockImplementation(function (
      this: unknown,
      ...args: unknown[]
    ) {
      return args[0] === 'other-version' ? 'a text' : invoke.apply(this, args);
    });
    await expect(here.newer().next()).rejects.toMatchObject({
      code: 'ERR_AGENT_UNKNOWN_METHOD',
      outcome: 'executed',
      message: expect.stringContaining('Lines.newer returned no async iterable in the primary'),
    });
  });
});

describe('handlers', () => {
  it('give streams as methods do', async () => {
    const worker = await startApp([], GROUP);
    primary.agent.handle('stream', (to: number) => there.count(to));
    for (const { agent } of [primary, worker]) {
      expect(await all(await agent.call<AsyncIterable<number>>('stream', [2]))).toEqual([0, 1]);
    }
  });
});

describe('the warning at start', () => {
  it('does not name what can be looped over everywhere', async () => {
    class Feed {
      async *[Symbol.asyncIterator]() {}
    }
    @Provide()
    class Streams {
      @RunInPrimary()
      async *generator(): AsyncGenerator<number> {}

      @RunInPrimary()
      feed(): Feed {
        return new Feed();
      }

      @RunInPrimary()
      text(): string {
        return '';
      }
    }
    const { lines, hooks } = recordLog();
    await startApp([Streams], {}, hooks);
    expect(lines.filter(line => line.includes('declared'))).toEqual([
      expect.stringContaining(' Streams.text: declared'),
    ]);
  });
});
