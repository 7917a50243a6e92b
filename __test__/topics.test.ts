import type { Member } from '../ts';
import { closeAll, type LightApp, startApp } from './support/light-app';
import { recordLog } from './support/log';
import { until } from './support/until';

jest.mock('../ts/engine/local', () => require('./support/memory-engine'), { virtual: true });

const GROUP = { group: 'topics' };

afterEach(async () => {
  jest.restoreAllMocks();
  await closeAll();
});

describe.each([
  ['a group', GROUP, 3],
  ['a standalone application', {}, 1],
] as const)('in %s', (_name, config, count) => {
  let apps: LightApp[];

  beforeEach(async () => {
    apps = [];
    for (let i = 0; i < count; i++) {
      apps.push(await startApp([], config));
    }
  });

  it('what is published reaches every subscriber in every member, in order, and says from whom', async () => {
    const heard: unknown[][] = apps.map(() => []);
    const from: Member[] = [];
    apps.forEach(({ agent }, index) => {
      agent.subscribe('news', (data, member) => {
        heard[index].push(data);
        from.push(member);
      });
    });
    const publisher = apps[apps.length - 1].agent;
    await Promise.all([1, 2, 3].map(n => publisher.publish('news', n)));
    expect(heard).toEqual(apps.map(() => [1, 2, 3]));
    expect(new Set(from.map(member => member.id)).size).toBe(1);
    expect(from[0].pid).toBe(process.pid);
  });

  it('each listener gets a copy of its own, as it was when it was published', async () => {
    const heard: { n: number; by?: number }[] = [];
    for (const { agent } of apps) {
      for (const by of [1, 2]) {
        agent.subscribe<{ n: number; by?: number }>('news', data => {
          expect(data.by).toBeUndefined();
          heard.push(Object.assign(data, { by }));
        });
      }
    }
    const data = { n: 1 };
    const published = apps[0].agent.publish('news', data);
    data.n = 2;
    expect(heard).toEqual([]);
    await published;
    expect(heard).toHaveLength(2 * count);
    expect(heard.every(each => each.n === 1 && each !== (data as object))).toBe(true);
  });

  it('a listener that has unsubscribed hears nothing, and one of two of the same function still does', async () => {
    const { agent } = apps[0];
    const listener = jest.fn();
    const [first] = [agent.subscribe('news', listener), agent.subscribe('news', listener)];
    first();
    first();
    await agent.publish('news', 1);
    expect(listener).toHaveBeenCalledTimes(1);
    await agent.publish('other', 1);
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it('nothing is published that cannot be sent', async () => {
    const { agent } = apps[0];
    const listener = jest.fn();
    agent.subscribe('news', listener);
    await expect(agent.publish('news', { fn: () => {} })).rejects.toMatchObject({
      code: 'ERR_AGENT_NOT_SERIALIZABLE',
      message: expect.stringContaining('data.fn is a function'),
    });
    await expect(agent.publish('', 1)).rejects.toMatchObject({ code: 'ERR_AGENT_CONFIG' });
    expect(() => agent.subscribe('news', 'listener' as never)).toThrow("subscribe('news'): the second argument");
    expect(listener).not.toHaveBeenCalled();
  });
});

describe('a listener that fails', () => {
  it('is logged, and disturbs neither the others nor the publisher', async () => {
    const { lines, hooks } = recordLog();
    const { agent } = await startApp([], {}, hooks);
    const heard: unknown[] = [];
    agent.subscribe('news', () => {
      throw new Error('thrown by the first');
    });
    agent.subscribe('news', async () => {
      throw new Error('rejected by the second');
    });
    agent.subscribe('news', data => heard.push(data));
    await agent.publish('news', 1);
    expect(heard).toEqual([1]);
    await until(() => lines.filter(line => line.includes("listener of the topic 'news'")).length === 2, {
      what: 'both failures to be logged',
    });
    expect(lines.join('\n')).toMatch(/thrown by the first[\s\S]*rejected by the second/);
  });
});

describe('after the end', () => {
  it('nothing can be published', async () => {
    const app = await startApp([], GROUP);
    await app.close();
    await expect(app.agent.publish('news', 1)).rejects.toMatchObject({ code: 'ERR_AGENT_CLOSED' });
  });
});
