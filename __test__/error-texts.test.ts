/** What errors and warnings say: of what, what became of it, what to do. */
import { Inject, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInAll, RunInPrimary } from '../ts';
import { closeAll, startApp } from './support/light-app';
import { recordLog } from './support/log';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeAll();
});

describe('after the application has been closed', () => {
  it('a call, a gather and a publication say what they are, and that they were not sent', async () => {
    @Provide()
    @Scope(ScopeEnum.Singleton)
    class Closed {
      ping() {}
    }
    const app = await startApp([Closed]);
    const inAll = app.agent.inAll(Closed);
    await app.close();
    for (const [ask, name] of [
      [() => app.agent.call('work'), 'work'],
      [() => app.agent.gather('work'), 'work'],
      [() => inAll.ping(), 'Closed.ping'],
      [() => app.agent.publish('news', 1), "publish('news')"],
    ] as [() => Promise<unknown>, string][]) {
      await expect(ask()).rejects.toMatchObject({
        code: 'ERR_AGENT_CLOSED',
        outcome: 'not-sent',
        message: `${name}: the application has been closed; it was not sent.`,
      });
    }
  });
});

describe('a class that has both a decorated method and the context of a request', () => {
  @Provide()
  class Asking {
    @Inject()
    ctx: unknown;
    @RunInPrimary()
    async add() {}
    @RunInPrimary()
    async remove() {}
  }
  @Provide()
  class Named {
    @Inject('ctx')
    request: unknown;
    @RunInAll()
    async clear() {}
  }
  @Provide()
  class NoContext {
    @Inject()
    asking!: Asking;
    @RunInPrimary()
    async add() {}
  }
  @Provide()
  class NotDecorated {
    @Inject()
    ctx: unknown;
  }
  @Provide()
  @Scope(ScopeEnum.Singleton)
  class Single {
    @RunInPrimary()
    async add() {}
  }

  it('is named at start, once, and no other is', async () => {
    const { lines, hooks } = recordLog();
    await startApp([Asking, Named, NoContext, NotDecorated, Single], {}, hooks);
    const told = lines.filter(line => line.includes('@Inject() ctx'));
    expect(told).toHaveLength(1);
    expect(told[0]).toContain('[process-agent] Asking, Named: a class with a decorated method gets its request');
  });
});
