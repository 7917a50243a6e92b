import { join } from 'node:path';
import { types } from 'node:util';
import { destroyGlobalApplicationContext, initializeGlobalApplicationContext } from '@midwayjs/core';
import * as ts from 'typescript';
import { OnlyInPrimary, ProcessAgentError, RunInAll, RunInPrimary } from '../ts';

function tagged(_target: object, _key: string, descriptor: PropertyDescriptor) {
  descriptor.value.tag = 'kept';
}

class Account {
  balance = 10;

  @RunInPrimary()
  @tagged
  async deposit(amount: number, _note?: string) {
    this.balance += amount;
    return this.balance;
  }

  @RunInPrimary()
  promised(amount: number): Promise<number> {
    return Promise.resolve(this.balance + amount);
  }

  @RunInPrimary()
  plain(): number {
    return this.balance;
  }

  @RunInPrimary()
  @tagged
  async *entries(_from: number, _to?: number) {
    yield this.balance;
  }

  @RunInAll()
  async forget(_note: string): Promise<void> {}

  @OnlyInPrimary()
  async cron(): Promise<string | undefined> {
    return 'ran';
  }

  @OnlyInPrimary()
  tick(): string | undefined {
    return 'ticked';
  }

  @OnlyInPrimary()
  async *sweep(_from: number) {
    yield 'swept';
  }
}

class Undecorated {
  async deposit(_amount: number, _note?: string) {}
  promised(_amount: number) {}
  async *entries(_from: number, _to?: number) {}
  async forget(_note: string) {}
  async *sweep(_from: number) {}
}

function refusal(decorate: () => unknown): ProcessAgentError {
  try {
    decorate();
  } catch (err) {
    return err as ProcessAgentError;
  }
  throw new Error('It was accepted.');
}

// biome-ignore lint/suspicious/noExplicitAny: what a JavaScript caller could write.
const loose = { RunInPrimary, RunInAll, OnlyInPrimary } as any;

describe('a decorated method', () => {
  it('looks like the method that it replaces', () => {
    for (const key of ['deposit', 'promised', 'entries', 'forget', 'sweep'] as const) {
      const descriptor = Object.getOwnPropertyDescriptor(Account.prototype, key) as PropertyDescriptor;
      const plain = Object.getOwnPropertyDescriptor(Undecorated.prototype, key) as PropertyDescriptor;
      expect({ ...descriptor, value: undefined }).toEqual({ ...plain, value: undefined });
      expect(descriptor.value.name).toBe(key);
      expect(descriptor.value.length).toBe(plain.value.length);
      expect(types.isAsyncFunction(descriptor.value)).toBe(types.isAsyncFunction(plain.value));
      expect(types.isGeneratorFunction(descriptor.value)).toBe(types.isGeneratorFunction(plain.value));
      expect(Object.hasOwn(descriptor.value, 'prototype')).toBe(Object.hasOwn(plain.value, 'prototype'));
    }
    expect((Account.prototype.deposit as unknown as { tag: string }).tag).toBe('kept');
    expect((Account.prototype.entries as unknown as { tag: string }).tag).toBe('kept');
  });

  it('runs as it is in a unit test that has no application', async () => {
    const account = new Account();
    expect(await account.deposit(5)).toBe(15);
    expect(await account.promised(1)).toBe(16);
    expect(account.plain()).toBe(15);
    expect(await account.cron()).toBe('ran');
    expect(account.tick()).toBe('ticked');
    expect(await account.sweep(0).next()).toEqual({ done: false, value: 'swept' });
  });

  it('passes real objects, callbacks included', async () => {
    class Mapper {
      @RunInPrimary()
      async map(items: number[], fn: (item: number) => number) {
        return { items, mapped: items.map(fn) };
      }
    }
    const items = [1, 2];
    const result = await new Mapper().map(items, item => item * 2);
    expect(result.items).toBe(items);
    expect(result.mapped).toEqual([2, 4]);
  });

  it('runs the override and what it calls by super, each once', async () => {
    const ran: string[] = [];
    class Base {
      @RunInPrimary()
      async run() {
        ran.push('base');
      }
    }
    class Derived extends Base {
      @RunInPrimary()
      override async run() {
        ran.push('derived');
        await super.run();
      }
    }
    await new Derived().run();
    expect(ran).toEqual(['derived', 'base']);
  });
});

describe.each(['RunInPrimary', 'RunInAll', 'OnlyInPrimary'] as const)('@%s refuses', name => {
  const decorate = loose[name];

  it('a property', () => {
    const err = refusal(() => {
      class Service {
        @decorate()
        value = 1;
      }
      return Service;
    });
    expect(err).toBeInstanceOf(ProcessAgentError);
    expect(err).toMatchObject({
      code: 'ERR_AGENT_DECORATOR',
      message: `@${name}() stands on the property Service.value. It can only stand on a method.`,
    });
  });

  it('an accessor', () => {
    const err = refusal(() => {
      class Service {
        @decorate()
        get value() {
          return 1;
        }
      }
      return Service;
    });
    expect(err.message).toContain('the accessor Service.value');
  });

  it('a static method', () => {
    const err = refusal(() => {
      class Service {
        value = 1;

        @decorate()
        static async run() {}
      }
      return Service;
    });
    expect(err.message).toContain('the static member Service.run');
  });

  it('a class', () => {
    const err = refusal(() => {
      @decorate()
      class Service {}
      return Service;
    });
    expect(err.message).toContain('the class Service');
  });

  it('a method that is named by a symbol', () => {
    const err = refusal(() => {
      class Service {
        @decorate()
        async [Symbol.asyncDispose]() {}
      }
      return Service;
    });
    expect(err.message).toContain('named by a symbol');
  });

  it('missing parentheses', () => {
    const err = refusal(() => {
      class Service {
        @decorate
        async run() {}
      }
      return Service;
    });
    expect(err).toMatchObject({ code: 'ERR_AGENT_DECORATOR', message: `@${name} needs parentheses: @${name}().` });
  });

  it('code that is compiled with standard decorators, and names the options', () => {
    const { outputText } = ts.transpileModule('class Service { @decorate() async run() {} }', {
      compilerOptions: { target: ts.ScriptTarget.ES2022, experimentalDecorators: false },
    });
    const err = refusal(() => new Function('decorate', outputText)(decorate));
    expect(err.code).toBe('ERR_AGENT_DECORATOR');
    expect(err.message).toContain(`@${name}() on method 'run'`);
    expect(err.message).toContain('"experimentalDecorators": true');
  });
});

describe('@RunInPrimary refuses', () => {
  it('to stand twice on one method', () => {
    const err = refusal(() => {
      class Service {
        @RunInPrimary()
        @RunInPrimary()
        async run() {}
      }
      return Service;
    });
    expect(err.message).toBe('@RunInPrimary() stands twice on Service.run.');
  });

  it('to stand on a method that runs in all', () => {
    const err = refusal(() => {
      class Service {
        @RunInPrimary()
        @RunInAll()
        async run() {}
      }
      return Service;
    });
    expect(err.code).toBe('ERR_AGENT_DECORATOR');
    expect(err.message).toBe('@RunInPrimary() stands on Service.run, as @RunInAll() does: only one of them can.');
  });

  it.each([
    [{ nmae: 'x' }, "has no option 'nmae'"],
    [{ name: '' }, 'name must be'],
    [{ name: '#x' }, 'name must be'],
    [{ name: '*x' }, 'name must be'],
    [{ name: '&x' }, 'name must be'],
    [{ idempotent: 1 }, 'idempotent must be true or false'],
    [{ timeout: 0 }, 'timeout must be a whole number'],
    [{ timeout: '5' }, 'timeout must be a whole number'],
    ['name', 'takes an object of options'],
    [null, 'takes an object of options'],
  ])('the options %p', (options, message) => {
    const err = refusal(() => loose.RunInPrimary(options));
    expect(err.code).toBe('ERR_AGENT_DECORATOR');
    expect(err.message).toContain(message);
  });
});

describe('@RunInAll refuses', () => {
  it.each([
    ['async', async function* () {}],
    ['other', function* () {}],
  ])('a generator, %s', (_, value) => {
    class Service {}
    const err = refusal(() => loose.RunInAll()(Service.prototype, 'run', { value }));
    expect(err.code).toBe('ERR_AGENT_DECORATOR');
    expect(err.message).toBe('@RunInAll() stands on Service.run, a generator, which nobody would read.');
  });

  it.each([
    [{ name: 'x' }, "has no option 'name'. Options: timeout."],
    [{ timeout: 1.5 }, 'timeout must be a whole number'],
    ['timeout', 'takes an object of options'],
  ])('the options %p', (options, message) => {
    const err = refusal(() => loose.RunInAll(options));
    expect(err.code).toBe('ERR_AGENT_DECORATOR');
    expect(err.message).toContain(`@RunInAll()`);
    expect(err.message).toContain(message);
  });
});

test('what a decorator refuses is told once when Midway goes on without the configuration that threw it', async () => {
  const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const before = process.env.MIDWAY_TS_MODE;
  process.env.MIDWAY_TS_MODE = 'true';
  try {
    for (const folder of ['mistaken', 'nothing-here']) {
      const application = await initializeGlobalApplicationContext({
        appDir: '',
        baseDir: join(__dirname, 'support', folder),
        globalConfig: { midwayLogger: { default: { transports: { file: false, error: false, console: false } } } },
      });
      await destroyGlobalApplicationContext(application);
    }
    expect(warn.mock.calls).toEqual([
      [
        expect.stringContaining('@RunInPrimary(): timeout must be'),
        expect.objectContaining({ code: 'ERR_AGENT_DECORATOR' }),
      ],
    ]);
  } finally {
    warn.mockRestore();
    if (before === undefined) {
      delete process.env.MIDWAY_TS_MODE;
    } else {
      process.env.MIDWAY_TS_MODE = before;
    }
  }
});
