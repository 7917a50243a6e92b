import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { journal, LedgerService } from './ledger';

/** Requests of this process's own, so that what becomes of each call is seen to the very end of the process. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class WorkloadService {
  @Inject()
  ledger: LedgerService;

  private made = 0;
  private draining = false;

  /** Makes calls of up to `ms`, `atOnce` at a time. */
  async start(atOnce: number, ms: number) {
    for (let i = 0; i < atOnce; i++) {
      this.keepCalling(ms);
    }
    return process.pid;
  }

  /** The application is stopping: some requests still come in, and soon none any more. */
  async drain() {
    sleep(200).then(() => {
      this.draining = true;
    });
  }

  private async keepCalling(ms: number) {
    while (!this.draining) {
      const id = `${process.pid}-${++this.made}`;
      journal({ is: 'made', id });
      try {
        const { executedBy } = await this.ledger.add(id, Math.floor(Math.random() * ms));
        journal({ is: 'answered', id, executedBy });
      } catch (error) {
        const { code, outcome, message } = error as Error & Record<string, unknown>;
        journal({ is: 'failed', id, code, outcome, message });
      }
    }
  }
}
