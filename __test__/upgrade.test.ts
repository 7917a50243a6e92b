import type { Cluster } from 'node:cluster';
import { EventEmitter } from 'node:events';
import { resolveConfig } from '../ts/config';
import type { Engine, EngineHost } from '../ts/engine/engine';
import { StandaloneEngine } from '../ts/engine/standalone';
import { UpgradingEngine } from '../ts/engine/upgrade';
import type { AgentEvents, Member, Role } from '../ts/interface';
import type { Decision } from '../ts/role/decision';

const cluster = require('node:cluster') as Cluster;
const ALONE = { deployment: 'standalone', group: 'standalone', groupKey: 'alone', reasons: [] as string[] } as Decision;
const FORKED = { ...ALONE, deployment: 'cluster', group: 'cluster', groupKey: 'cluster' } as Decision;

const OTHER = { id: 5, pid: 4321 } as Member;

const logger = { debug() {}, info() {}, warn() {}, error() {} };

/** An application that keeps a count in memory. */
class App implements EngineHost {
  readonly wantsInvocations = false;
  readonly logger = logger;
  readonly log: unknown[] = [];

  invoke() {}
  deliver(topic: string, data: () => unknown) {
    this.log.push([topic, data()]);
  }
  takeOver(state: unknown, epoch: number) {
    this.log.push(['takes over', state, epoch]);
  }
  stayPrimary(epoch: number) {
    this.log.push(['stays primary', epoch]);
  }
  async giveUp() {
    this.log.push('gives up');
    return { count: 3 };
  }
}

let joining: { finish(): void; fail(error: Error): void };
let next: Joined;

/** What is joined after the fork: starts when the test says so. */
class Joined implements Partial<Engine> {
  readonly events = new EventEmitter<AgentEvents>();
  readonly group = 'cluster';
  readonly asked: unknown[] = [];
  role: Role | undefined;
  epoch = 0;

  constructor(
    readonly host: EngineHost,
    readonly elected: Role,
    readonly left: unknown,
  ) {}

  async start() {
    await new Promise<void>((finish, fail) => {
      joining = { finish, fail };
    });
    if (this.elected === 'primary') {
      await this.host.takeOver(this.left, 77);
    }
    this.role = this.elected;
    this.epoch = 77;
    // As the others do: before whoever waits for the start goes on.
    this.events.emit(this.elected, { epoch: 77 });
    this.events.emit('primary-changed', { epoch: 77, pid: this.elected === 'primary' ? process.pid : 4321 });
    this.events.emit('member-joined', OTHER);
  }

  async gather(...args: unknown[]) {
    this.asked.push(args);
    return [];
  }

  async publish(...args: unknown[]) {
    this.asked.push(args);
  }

  markReady() {}
  async handOver() {}
  async close() {}
}

let app: App;
let engine: UpgradingEngine;

async function start(elected: Role, left?: unknown) {
  app = new App();
  engine = new UpgradingEngine(
    ALONE,
    () => FORKED,
    (decision, host) => {
      if (decision === ALONE) {
        return new StandaloneEngine(decision, resolveConfig({}), host);
      }
      next = new Joined(host, elected, left);
      return next as unknown as Engine;
    },
    app,
  );
  await engine.start();
  expect(app.log).toEqual([['takes over', undefined, 1]]);
  app.log.length = 0;
}

/** As when the first worker is forked. */
function fork() {
  cluster.emit('fork', {} as never);
}

const question = (own = () => 'own') => ({ timeout: 1_000, own });

afterEach(async () => {
  joining?.finish();
  await engine.close();
});

describe('an application that is alone', () => {
  it('asks and tells itself', async () => {
    await start('primary');
    expect(await engine.gather('name', [], question())).toMatchObject([{ status: 'fulfilled', value: 'own' }]);
    await engine.publish('news', 1);
    expect(app.log).toEqual([['news', 1]]);
    expect(engine.self).toMatchObject({ id: 1, pid: process.pid });
  });
});

describe('while an application joins the group of its first worker', () => {
  it('questions and news wait for the others, and go out as they were', async () => {
    await start('primary');
    fork();
    const args = [{ n: 1 }];
    const data = { n: 1 };
    const pending = [engine.gather('name', args, question()), engine.publish('news', data)];
    args[0].n = 2;
    data.n = 2;
    await new Promise(setImmediate);
    expect(next.asked).toEqual([]);
    joining.finish();
    await Promise.all(pending);
    expect(next.asked.map(each => (each as unknown[]).slice(0, 2))).toEqual([
      ['name', [{ n: 1 }]],
      ['news', { n: 1 }],
    ]);
    await engine.gather('name', args, question());
    expect((next.asked[2] as unknown[])[1]).toBe(args);
  });

  it('they are refused when it cannot join', async () => {
    await start('primary');
    fork();
    const refused = expect(engine.gather('name', [], question())).rejects.toMatchObject({
      code: 'ERR_AGENT_NO_PRIMARY',
    });
    joining.fail(new Error('no folder'));
    await refused;
    await expect(engine.publish('news', 1)).rejects.toMatchObject({ code: 'ERR_AGENT_NO_PRIMARY' });
    expect(engine.tenure).toBeUndefined();
  });
});

describe('an application that has joined the group of its first worker', () => {
  it('keeps what it has, in a new tenure', async () => {
    await start('primary');
    const { tenure } = engine;
    fork();
    joining.finish();
    await engine.gather('name', [], question());
    expect(app.log).toEqual([['stays primary', 77]]);
    expect(tenure?.aborted).toBe(true);
    expect(engine.epoch).toBe(77);
  });

  it.each([
    ['primary', process.pid],
    ['worker', 4321],
  ] as const)('as %s tells what has changed with that, also when a listener throws', async (role, pid) => {
    await start(role);
    const told: unknown[] = [];
    for (const event of ['primary', 'worker', 'primary-changed', 'member-joined'] as const) {
      engine.events.on(event, (...args: unknown[]) => {
        told.push([event, ...args]);
        throw new Error('no matter');
      });
    }
    fork();
    joining.finish();
    await engine.gather('name', [], question());
    const news = [
      [role, { epoch: 77 }],
      ['primary-changed', { epoch: 77, pid }],
      ['member-joined', OTHER],
    ];
    expect(told).toEqual(news);
    expect(() => next.events.emit('member-left', OTHER)).not.toThrow();
    expect(() => next.events.emit('member-joined', OTHER)).not.toThrow();
    expect(told).toEqual([...news, ['member-joined', OTHER]]);
  });

  it('takes over what another process has left there', async () => {
    await start('primary', { count: 5 });
    fork();
    joining.finish();
    await engine.gather('name', [], question());
    expect(app.log).toEqual([['takes over', { count: 5 }, 77]]);
  });

  it('keeps what it has to itself when another process leads', async () => {
    await start('worker');
    const { tenure } = engine;
    fork();
    joining.finish();
    await engine.gather('name', [], question());
    expect(app.log).toEqual([]);
    expect([tenure?.aborted, engine.role]).toEqual([true, 'worker']);
  });
});
