import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { type Context, context, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { RunInAll, RunInPrimary } from '../ts';
import { closeAll, type LightApp, startApp } from './support/light-app';
import { calls, gathers } from './support/memory-engine';

jest.mock('../ts/engine/local', () => require('./support/memory-engine'), { virtual: true });

const GROUP = { group: 'tracing' };
const SPAN = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 };
const CARRIER = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };

const currentTrace = () => trace.getSpanContext(context.active())?.traceId;
const spanning = <T>(run: () => T): T => context.with(trace.setSpanContext(ROOT_CONTEXT, SPAN), run);

@Provide()
@Scope(ScopeEnum.Singleton)
class Service {
  traces: unknown[] = [];

  @RunInPrimary()
  async trace() {
    await new Promise(setImmediate);
    return currentTrace();
  }

  @RunInPrimary()
  async *twice() {
    yield currentTrace();
    await new Promise(setImmediate);
    yield currentTrace();
  }

  @RunInAll()
  async note(): Promise<void> {
    this.traces.push(currentTrace());
  }
}

let primary: LightApp;
let worker: LightApp;

beforeEach(async () => {
  primary = await startApp([Service], GROUP);
  worker = await startApp([Service], GROUP);
  for (const { agent } of [primary, worker]) {
    agent.handle('trace', currentTrace);
  }
  calls.length = 0;
  gathers.length = 0;
});

afterEach(async () => {
  context.disable();
  propagation.disable();
  jest.restoreAllMocks();
  await closeAll();
});

describe('when OpenTelemetry is set up, its context', () => {
  beforeEach(() => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  });

  it('crosses with a call of a decorated method', async () => {
    const service = await worker.get(Service);
    expect(await spanning(() => service.trace())).toBe(SPAN.traceId);
    expect(calls[0].options).toEqual({ carrier: CARRIER });
  });

  it('crosses with a stream, to its end', async () => {
    const service = await worker.get(Service);
    const traces: unknown[] = [];
    await spanning(async () => {
      for await (const each of service.twice()) {
        traces.push(each);
      }
    });
    expect(traces).toEqual([SPAN.traceId, SPAN.traceId]);
  });

  it('crosses with a call of a handler, beside its options', async () => {
    expect(await spanning(() => worker.agent.call('trace', [], { timeout: 5_000 }))).toBe(SPAN.traceId);
    expect(calls[0].options).toEqual({ timeout: 5_000, carrier: CARRIER });
  });

  it('crosses with questions to all', async () => {
    const outcomes = await spanning(() => worker.agent.gather('trace'));
    expect(outcomes).toMatchObject([{ value: SPAN.traceId }, { value: SPAN.traceId }]);
    await spanning(async () => (await worker.get(Service)).note());
    expect([(await primary.get(Service)).traces, (await worker.get(Service)).traces]).toEqual([
      [SPAN.traceId],
      [SPAN.traceId],
    ]);
    expect(gathers.map(each => each.carrier)).toEqual([CARRIER, CARRIER]);
  });

  it('is not sent when there is none', async () => {
    expect(await (await worker.get(Service)).trace()).toBeUndefined();
    await worker.agent.gather('trace');
    expect([calls[0].options, gathers[0].carrier]).toEqual([{}, undefined]);
  });

  it('costs no call when a propagator fails, on either side', async () => {
    propagation.disable();
    const failing = new W3CTraceContextPropagator();
    propagation.setGlobalPropagator(failing);
    jest.spyOn(failing, 'extract').mockImplementation((): Context => {
      throw new Error('extract');
    });
    const service = await worker.get(Service);
    await expect(spanning(() => service.trace())).resolves.toBeUndefined();
    jest.spyOn(failing, 'inject').mockImplementation(() => {
      throw new Error('inject');
    });
    calls.length = 0;
    await spanning(() => service.trace());
    expect(calls[0].options).toEqual({});
  });
});

describe('without OpenTelemetry', () => {
  it('nothing is sent beside a call, and what arrives beside one does no harm', async () => {
    const service = await worker.get(Service);
    expect(await service.trace()).toBeUndefined();
    expect(calls[0].options).toEqual({});
    const { runInContext } = require('../ts/tracing') as typeof import('../ts/tracing');
    expect(runInContext(CARRIER, () => 'ran')).toBe('ran');
  });

  it('the package loads nothing of it', () => {
    // This test has loaded the API itself: what counts is that nothing of ours asks for it.
    const { readFileSync, readdirSync } = require('node:fs') as typeof import('node:fs');
    const folder = `${__dirname}/../ts`;
    const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.ts'));
    for (const file of sources) {
      expect(readFileSync(`${folder}/${file}`, 'utf8')).not.toMatch(/(require\(|from )'@opentelemetry/);
    }
  });
});
