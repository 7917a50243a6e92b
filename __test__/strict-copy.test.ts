import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInAll, RunInPrimary } from '../ts';
import { state } from '../ts/state';
import { closeAll, startApp } from './support/light-app';
import { recordLog } from './support/log';

jest.mock('../ts/engine/local', () => require('./support/memory-engine'), { virtual: true });

const callback = () => 'called';

@Provide()
@Scope(ScopeEnum.Singleton)
class Service {
  ran = 0;

  @RunInPrimary()
  async take(...args: unknown[]) {
    this.ran++;
    return args.length;
  }

  @RunInPrimary()
  async give() {
    this.ran++;
    return { socket: { callback } };
  }

  @RunInPrimary()
  plain(...args: unknown[]): unknown {
    this.ran++;
    return args[0];
  }

  @RunInPrimary()
  async fail(_fn: () => void) {
    throw new RangeError('as it is');
  }

  @RunInPrimary()
  async *stream(_value?: unknown) {
    yield callback;
  }

  @RunInAll()
  async all(_fn: unknown): Promise<void> {
    this.ran++;
  }
}

/** Runs its query each time somebody awaits it, as database libraries do. */
class Query {
  runs = 0;

  // biome-ignore lint/suspicious/noThenProperty: that is what it is about.
  then(resolve: (rows: unknown[]) => void) {
    this.runs++;
    resolve([callback]);
  }
}

async function startWith(strictCopy: string | undefined, config: object = {}) {
  const { lines, hooks } = recordLog();
  const app = await startApp([Service], { ...config, ...(strictCopy && { strictCopy }) }, hooks);
  return { app, service: await app.get(Service), warnings: () => lines.filter(line => line.includes('strictCopy')) };
}

afterEach(async () => {
  jest.restoreAllMocks();
  await closeAll();
  expect(state.watching).toBe(0);
});

describe.each([
  ['a standalone application', {}],
  ['the primary of a group', { group: 'strict-copy' }],
])('in %s', (_name, config) => {
  it("'warn' names once per method and path what could not be sent, and passes it on as it is", async () => {
    const { service, warnings } = await startWith('warn', config);
    expect(await service.take(1, callback)).toBe(2);
    expect(await service.take(1, callback)).toBe(2);
    expect(await service.take({ a: [callback] })).toBe(1);
    expect((await service.give()).socket.callback).toBe(callback);
    expect(service.plain(callback)).toBe(callback);
    await service.take({ fine: new Map([[1, new Date()]]) });
    expect(warnings()).toEqual([
      expect.stringContaining('Service.take works in this process'),
      expect.stringContaining('args[0].a[0] is a function'),
      expect.stringContaining('Service.give works in this process'),
      expect.stringContaining('args[0] is a function'),
      expect.stringContaining('result is a function'),
    ]);
    expect(warnings()[0]).toContain('args[1] is a function');
  });

  it("'error' does not run a method whose arguments could not be sent", async () => {
    const { service, warnings } = await startWith('error', config);
    await expect(service.take(1, callback)).rejects.toMatchObject({
      code: 'ERR_AGENT_NOT_SERIALIZABLE',
      outcome: 'not-sent',
      message: expect.stringMatching(/^Service\.take: args\[1\] is a function/),
    });
    expect(() => service.plain(callback)).toThrow(expect.objectContaining({ code: 'ERR_AGENT_NOT_SERIALIZABLE' }));
    expect(service.ran).toBe(0);
    expect(warnings()).toEqual([]);
  });

  it("'error' refuses a result that could not be sent, and says that the method has run", async () => {
    const { service } = await startWith('error', config);
    await expect(service.give()).rejects.toMatchObject({
      code: 'ERR_AGENT_NOT_SERIALIZABLE',
      outcome: 'executed',
      message: expect.stringMatching(/^Service\.give: result\.socket\.callback is a function/),
    });
    expect(service.ran).toBe(1);
    const list = [1];
    expect(service.plain(list)).toBe(list);
  });

  it('handlers that are called here are checked as well', async () => {
    const { app } = await startWith('error', config);
    app.agent.handle('take', () => 1);
    app.agent.handle('give', () => callback);
    await expect(app.agent.call('take', [callback])).rejects.toMatchObject({ outcome: 'not-sent' });
    await expect(app.agent.call('give')).rejects.toMatchObject({ outcome: 'executed' });
    expect(await app.agent.call('take', [1])).toBe(1);
  });

  it("'off' looks at nothing", async () => {
    const { service, warnings } = await startWith('off', config);
    const value = {
      get looked() {
        throw new Error('It was looked at.');
      },
    };
    expect(await service.take(value, callback)).toBe(2);
    await service.give();
    expect(warnings()).toEqual([]);
  });
});

describe('strictCopy', () => {
  it("is 'warn' in an environment of developers, and 'off' elsewhere", async () => {
    const before = process.env.MIDWAY_SERVER_ENV;
    try {
      for (const [environment, count] of [
        ['local', 1],
        ['prod', 0],
      ] as const) {
        process.env.MIDWAY_SERVER_ENV = environment;
        const { app, service, warnings } = await startWith(undefined);
        await service.take(callback);
        expect(warnings()).toHaveLength(count);
        await app.close();
        jest.restoreAllMocks();
      }
    } finally {
      if (before === undefined) {
        delete process.env.MIDWAY_SERVER_ENV;
      } else {
        process.env.MIDWAY_SERVER_ENV = before;
      }
    }
  });

  it('leaves thrown errors, streams and what runs when it is awaited alone', async () => {
    const { service, warnings } = await startWith('error');
    const query = new Query();
    await expect(service.fail(undefined as never)).rejects.toThrow(RangeError);
    for await (const item of service.stream()) {
      expect(item).toBe(callback);
    }
    await expect(service.stream(callback).next()).rejects.toMatchObject({ outcome: 'not-sent' });
    class Repository {
      @RunInPrimary()
      find(): unknown {
        return query;
      }
    }
    const strict = state.memberships[0].strict;
    expect(strict?.run('find', [], () => new Repository().find())).toBe(query);
    expect(query.runs).toBe(0);
    expect(warnings()).toEqual([]);
  });

  it('does not break a method whose argument throws when it is read', async () => {
    const { service, warnings } = await startWith('warn');
    const value = {
      toJSON() {
        throw new Error('not now');
      },
    };
    expect(await service.take(value)).toBe(1);
    expect(warnings()).toEqual([expect.stringContaining('not now')]);
  });

  it('does not fill the log with the elements of one list', async () => {
    const { service, warnings } = await startWith('warn');
    for (let i = 0; i < 50; i++) {
      await service.take(...Array(i).fill(1), callback);
    }
    expect(warnings().length).toBeLessThan(20);
  });

  it('does not know objects that no container has made', async () => {
    await startWith('error');
    expect(await new Service().take(callback)).toBe(1);
  });

  it('holds for @RunInAll in a standalone application, too', async () => {
    const { service } = await startWith('error');
    await expect(service.all(callback)).rejects.toMatchObject({
      code: 'ERR_AGENT_NOT_SERIALIZABLE',
      outcome: 'not-sent',
    });
    expect(service.ran).toBe(0);
  });

  it.each([
    ['a standalone application, where it works', {}, 1],
    ['a group, where it is refused', { group: 'strict-copy' }, 0],
  ])("'warn' names an argument of @RunInAll in %s: %j, %i", async (_, config, count) => {
    const { service, warnings } = await startWith('warn', config);
    const failed = await service.all(callback).then(
      () => undefined,
      error => error,
    );
    expect(failed?.code).toBe(count ? undefined : 'ERR_AGENT_NOT_SERIALIZABLE');
    expect(service.ran).toBe(count);
    expect(warnings()).toHaveLength(count);
  });
});
