import { setTimeout as sleep } from 'node:timers/promises';
import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary } from '@midwayjs/process-agent';
import { context, trace } from '@opentelemetry/api';

/** Says which trace is active where its methods run. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class TracedService {
  @RunInPrimary()
  async active() {
    const first = activeTrace();
    await sleep(5);
    return { executedBy: process.pid, traces: [first, activeTrace()] };
  }

  @RunInPrimary()
  async *activeInRows() {
    yield activeTrace();
    await sleep(5);
    yield activeTrace();
  }

  /** Of this process, whichever it is. */
  here() {
    return activeTrace();
  }
}

export function activeTrace(): string | null {
  return trace.getSpanContext(context.active())?.traceId ?? null;
}
