import { Init, Inject, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { ProcessAgentService } from '@midwayjs/process-agent';

/** What this process was told about its role, in order. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class TenureService {
  @Inject()
  agent: ProcessAgentService;

  readonly history: string[] = [];

  @Init()
  async init() {
    this.agent.on('primary', () => this.lead());
    this.agent.on('worker', () => this.history.push('worker'));
    // Whoever is primary when this runs has heard of it before anybody listened.
    if (this.agent.isPrimary()) {
      this.lead();
    }
  }

  private lead() {
    this.history.push('primary');
    this.agent.tenure?.addEventListener('abort', () => this.history.push('tenure aborted'));
  }
}

/** Keeps the event loop busy, as a bug would. */
export function block(ms: number): void {
  for (const end = Date.now() + ms; Date.now() < end; );
}
