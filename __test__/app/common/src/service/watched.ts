import { Init, Inject, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { ProcessAgentService, RunInPrimary } from '@midwayjs/process-agent';

/** Calls that run until nobody waits for them any more, and what was seen of them. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class WatchedService {
  @Inject()
  agent: ProcessAgentService;

  private readonly seen = new Map<string, { caller: number; aborted?: string }>();

  @Init()
  async init() {
    this.agent.handle('watched:wait', (id: string) => this.wait(id));
  }

  @RunInPrimary({ timeout: 300 })
  async waitShortly(id: string) {
    return this.wait(id);
  }

  @RunInPrimary()
  async waitForever(id: string) {
    return this.wait(id);
  }

  @RunInPrimary()
  async sight(id: string) {
    return this.seen.get(id);
  }

  private async wait(id: string): Promise<void> {
    const call = this.agent.currentCall();
    if (!call) {
      throw new Error('no current call');
    }
    const sight: { caller: number; aborted?: string } = { caller: call.member.pid };
    this.seen.set(id, sight);
    await new Promise<void>(resolve => {
      call.signal.addEventListener('abort', () => {
        sight.aborted = String(call.signal.reason?.code ?? call.signal.reason);
        resolve();
      });
    });
  }
}
