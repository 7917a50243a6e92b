/** What the application does in places that the agent calls costs its own work alone, and calls share a signal. */
import { whenAborted } from '../ts/abort';
import { AgentEmitter } from '../ts/agent-events';
import { messageOf, textOf } from '../ts/guard';
import { OwnChecks } from '../ts/health/checks';
import { closeAll, startApp } from './support/light-app';
import { recordLog } from './support/log';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeAll();
});

describe('a listener that fails', () => {
  it('stops neither the other listeners nor the start, and is logged', async () => {
    const { lines, hooks } = recordLog();
    const heard: string[] = [];
    const app = await startApp([], {}, hooks);
    const { events } = await import('../ts/state').then(({ membershipOf }) => membershipOf(app.agent.container));
    app.agent.on('primary', () => {
      throw new Error('first');
    });
    app.agent.on('primary', (async () => {
      throw new Error('second');
    }) as () => void);
    app.agent.once('primary', () => void heard.push('once'));
    app.agent.on('primary', () => void heard.push('on'));
    events.emit('primary', { epoch: 1 });
    events.emit('primary', { epoch: 1 });
    await new Promise(setImmediate);
    expect(heard).toEqual(['once', 'on', 'on']);
    const failures = lines.filter(line => line.includes("a listener of 'primary' has failed"));
    expect(failures).toHaveLength(4);
    expect(failures[0]).toContain('first');
    expect(failures.join()).toContain('second');
  });

  it('may throw what has no text', () => {
    const logged: unknown[] = [];
    const log = (...args: unknown[]) => void logged.push(args);
    const events = new AgentEmitter({ debug: log, info: log, warn: log, error: log });
    events.on('worker', () => {
      throw Object.create(null);
    });
    expect(events.emit('worker', { epoch: 1 })).toBe(true);
    expect(logged).toHaveLength(1);
  });
});

describe('what an error says', () => {
  const texts: [unknown, string, string][] = [
    [new RangeError('far'), 'far', 'RangeError: far'],
    ['text', 'text', 'text'],
    [undefined, 'undefined', 'undefined'],
    [Symbol('s'), 'Symbol(s)', 'Symbol(s)'],
    [Object.create(null), 'something was thrown that has no text', 'something was thrown that has no text'],
    [
      {
        get message(): string {
          throw new Error('getter');
        },
        toString: 1,
        [Symbol.toPrimitive]: 1,
      },
      'something was thrown that has no text',
      'something was thrown that has no text',
    ],
  ];
  it.each(texts)('%#', (thrown, message, text) => {
    expect(messageOf(thrown)).toBe(message);
    expect(textOf(thrown)).toBe(text);
  });

  it('does not stop the health checks', async () => {
    const run = () => {
      throw Object.create(null);
    };
    const { checks } = await new OwnChecks(() => [{ namespace: 'odd', run }]).run(1_000);
    expect(checks).toEqual([{ namespace: 'odd', status: false, reason: 'something was thrown that has no text' }]);
  });
});

describe('calls that share a signal', () => {
  it('have one listener on it while any of them waits, and none afterwards', () => {
    const { signal } = new AbortController();
    const adds = jest.spyOn(signal, 'addEventListener');
    const removes = jest.spyOn(signal, 'removeEventListener');
    const ends = [1, 2, 3].map(() => whenAborted(signal, () => {}));
    expect(adds).toHaveBeenCalledTimes(1);
    ends[0]();
    ends[0]();
    ends[1]();
    expect(removes).not.toHaveBeenCalled();
    ends[2]();
    expect(removes).toHaveBeenCalledTimes(1);
    whenAborted(signal, () => {});
    expect(adds).toHaveBeenCalledTimes(2);
  });

  it('are all told, except those that have ended', () => {
    const controller = new AbortController();
    const told: number[] = [];
    const ends = [1, 2, 3].map(i => whenAborted(controller.signal, () => void told.push(i)));
    ends[1]();
    controller.abort();
    expect(told).toEqual([1, 3]);
  });
});
