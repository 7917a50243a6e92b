import { Readable } from 'node:stream';
import { Inject, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { close, createLightApp } from '@midwayjs/mock';
import * as processAgent from '../ts';
import { type CurrentCall, ProcessAgentService, RunInPrimary } from '../ts';
import { state } from '../ts/state';
import { closeAll, type LightApp, startApp } from './support/light-app';
import { calls, LocalEngine } from './support/memory-engine';
import { until } from './support/until';

jest.mock('../ts/engine/local', () => require('./support/memory-engine'), { virtual: true });

const GROUP = { group: 'current-call' };

@Provide()
@Scope(ScopeEnum.Singleton)
class Service {
  @Inject()
  agent!: ProcessAgentService;

  @RunInPrimary()
  async who() {
    await new Promise(setImmediate);
    return this.agent.currentCall()?.member.id;
  }

  @RunInPrimary()
  async epoch() {
    return this.agent.currentCall()?.epoch;
  }

  @RunInPrimary()
  async *stream() {
    yield this.agent.currentCall()?.member.id;
    await new Promise(setImmediate);
    yield this.agent.currentCall()?.member.id;
  }

  @RunInPrimary()
  async lateStream(): Promise<AsyncIterable<unknown>> {
    return this.stream();
  }
}

let primary: LightApp;
let worker: LightApp;
let workerId: number;

async function startTwo() {
  primary = await startApp([Service], GROUP);
  worker = await startApp([Service], GROUP);
  workerId = state.memberships[1].engine.self?.id as number;
  calls.length = 0;
}

async function all(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const items: unknown[] = [];
  for await (const item of stream) {
    items.push(item);
  }
  return items;
}

afterEach(async () => {
  await closeAll();
});

describe('currentCall()', () => {
  beforeEach(startTwo);

  it('is who has called a decorated method, and in which tenure', async () => {
    expect(await (await worker.get(Service)).who()).toBe(workerId);
    expect(await (await worker.get(Service)).epoch()).toBe(primary.agent.epoch);
  });

  it('is nobody in a call that is none of another member', async () => {
    expect(await (await primary.get(Service)).who()).toBeUndefined();
    expect(primary.agent.currentCall()).toBeUndefined();
  });

  it('is who reads a stream, from its beginning to its end', async () => {
    const service = await worker.get(Service);
    expect(await all(service.stream())).toEqual([workerId, workerId]);
    expect(await all(await service.lateStream())).toEqual([workerId, workerId]);
  });

  it('is who has called a handler, wherever it runs', async () => {
    for (const { agent } of [primary, worker]) {
      agent.handle('who', () => agent.currentCall()?.member.id);
    }
    const primaryId = state.memberships[0].engine.self?.id;
    expect(await worker.agent.call('who')).toBe(workerId);
    expect(await primary.agent.call('who')).toBe(primaryId);
    const outcomes = await worker.agent.gather('who');
    expect(outcomes.map(each => each.status === 'fulfilled' && each.value)).toEqual([workerId, workerId]);
  });
});

describe('an application that never made a ProcessAgentService', () => {
  it('keeps no account of calls', async () => {
    const app = await createLightApp({ baseDir: __dirname, imports: [processAgent] } as never);
    expect(state.memberships[0].wantsInvocations).toBe(false);
    await app.getApplicationContext().getAsync(ProcessAgentService);
    expect(state.memberships[0].wantsInvocations).toBe(true);
    await close(app);
  });
});

describe('call() in the primary', () => {
  let app: LightApp;
  let seen: CurrentCall | undefined;
  let finish: (value: unknown) => void;

  beforeEach(async () => {
    app = await startApp([]);
    app.agent.handle('hang', () => {
      seen = app.agent.currentCall();
      // Made now, as by somebody who uses it.
      void seen?.signal;
      return new Promise(resolve => {
        finish = resolve;
      });
    });
  });

  it('ends after its timeout, and the handler sees it', async () => {
    await expect(app.agent.call('hang', [], { timeout: 10 })).rejects.toMatchObject({
      code: 'ERR_AGENT_TIMEOUT',
      outcome: 'unknown',
      message: 'hang: no reply within its timeout of 10 ms; it may have run.',
    });
    expect(seen?.signal.aborted).toBe(true);
    expect(seen?.signal.reason).toMatchObject({ code: 'ERR_AGENT_TIMEOUT' });
  });

  it("ends with the caller's signal, and the handler sees it", async () => {
    const controller = new AbortController();
    const call = app.agent.call('hang', [], { signal: controller.signal });
    const refused = expect(call).rejects.toMatchObject({
      code: 'ERR_AGENT_ABORTED',
      outcome: 'unknown',
      cause: 'enough',
    });
    await until(() => seen, { what: 'the handler to run' });
    controller.abort('enough');
    await refused;
    expect(seen?.signal.aborted).toBe(true);
  });

  it('that has finished in time is not aborted by what happens later', async () => {
    const controller = new AbortController();
    const call = app.agent.call('hang', [], { signal: controller.signal, timeout: 60_000 });
    await until(() => seen, { what: 'the handler to run' });
    finish('done');
    expect(await call).toBe('done');
    controller.abort();
    await app.close();
    expect(seen?.signal.aborted).toBe(false);
  });

  it('that is under way is told when the tenure ends', async () => {
    const call = app.agent.call('hang');
    await until(() => seen, { what: 'the handler to run' });
    const { tenure } = app.agent;
    expect(tenure?.aborted).toBe(false);
    await app.close();
    expect(tenure?.aborted).toBe(true);
    expect(seen?.signal.aborted).toBe(true);
    finish('late');
    expect(await call).toBe('late');
  });

  it('is the current call in the body of a generator, to its end', async () => {
    app.agent.handle('stream', async function* () {
      yield app.agent.currentCall()?.member.pid;
      seen = app.agent.currentCall();
      yield seen?.signal.aborted;
    });
    const stream = await app.agent.call<AsyncGenerator<unknown>>('stream');
    expect((await stream.next()).value).toBe(process.pid);
    expect((await stream.next()).value).toBe(false);
    await app.close();
    expect(seen?.signal.aborted).toBe(true);
  });

  it('gives a stream that is no generator as the object that it is', async () => {
    const readable = Readable.from([1]);
    app.agent.handle('readable', () => readable);
    expect(await app.agent.call('readable')).toBe(readable);
  });

  it('may be one of many that look at their signals', async () => {
    const warned = jest.spyOn(process, 'emitWarning');
    const pending = Array.from({ length: 20 }, () => app.agent.call('hang', [], { timeout: 10 }).catch(() => {}));
    await Promise.all(pending);
    expect(warned).not.toHaveBeenCalled();
    warned.mockRestore();
  });

  it('gets the real objects, and throws what is thrown', async () => {
    const value = { fn: () => 1 };
    const error = new RangeError('no');
    app.agent.handle('echo', (given: unknown) => given);
    app.agent.handle('throw', () => {
      throw error;
    });
    expect(await app.agent.call('echo', [value])).toBe(value);
    await expect(app.agent.call('throw')).rejects.toBe(error);
  });
});

describe.each(['primary', 'worker'] as const)('call() in a %s', role => {
  let agent: ProcessAgentService;
  const ran = jest.fn();

  beforeEach(async () => {
    await startTwo();
    ran.mockClear();
    agent = role === 'primary' ? primary.agent : worker.agent;
    primary.agent.handle('run', ran);
  });

  it('does nothing when the signal is aborted already', async () => {
    const signal = AbortSignal.abort('before');
    await expect(agent.call('run', [], { signal })).rejects.toMatchObject({
      code: 'ERR_AGENT_ABORTED',
      outcome: 'not-sent',
      cause: 'before',
    });
    expect(ran).not.toHaveBeenCalled();
    expect(calls).toEqual([]);
  });

  it.each([
    [[], { timeout: -1 }, 'call(): timeout must be a whole number of milliseconds from 1 to 2147483647.'],
    [[], { signal: {} }, 'call(): signal must be an AbortSignal.'],
    [[], { idempotent: 'yes' }, 'call(): idempotent must be true or false.'],
    [[], { retries: 1 }, "call() has no option 'retries'. Options: timeout, signal, idempotent."],
    [[], 5, 'call() takes an object of options, or nothing.'],
    ['args', {}, "call('run'): the arguments must be an array."],
  ])('refuses %p with the options %p', async (args, options, message) => {
    await expect(agent.call('run', args as never, options as never)).rejects.toMatchObject({
      code: 'ERR_AGENT_CONFIG',
      message,
    });
    expect(ran).not.toHaveBeenCalled();
  });
});

describe('call() in a worker', () => {
  it.each([
    ['longer than a frame has room for', 'x'.repeat(70_000)],
    ['empty', ''],
    ['none', undefined],
  ])('sends nothing under a name that is %s', async (_, name) => {
    await startTwo();
    await expect(worker.agent.call(name as string, [new Date()])).rejects.toMatchObject({
      code: 'ERR_AGENT_CONFIG',
      message: 'call(): a name is a string of 1 to 200 characters.',
    });
    expect(calls).toEqual([]);
  });

  it('passes its options to the engine', async () => {
    await startTwo();
    primary.agent.handle('run', () => 'ran');
    const { signal } = new AbortController();
    await worker.agent.call('run', [1], { timeout: 5, signal, idempotent: true });
    expect(calls).toEqual([{ name: '#run', args: [1], options: { timeout: 5, signal, idempotent: true } }]);
  });

  it('sends what it was given, whatever becomes of it after the call', async () => {
    await startTwo();
    primary.agent.handle('echo', (value: unknown) => value);
    const value = { n: 1 };
    const echoed = worker.agent.call('echo', [value]);
    value.n = 2;
    expect(await echoed).toEqual({ n: 1 });
  });
});

describe('tenure', () => {
  it('is a signal while this process is primary, and ends with that', async () => {
    await startTwo();
    const { tenure } = primary.agent;
    expect([tenure?.aborted, worker.agent.tenure]).toEqual([false, undefined]);
    await LocalEngine.relieve();
    expect([tenure?.aborted, primary.agent.tenure]).toEqual([true, undefined]);
    expect(worker.agent.tenure?.aborted).toBe(false);
  });
});
