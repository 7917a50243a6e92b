import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Init, Inject, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { ProcessAgentService, RunInPrimary } from '@midwayjs/process-agent';

/** How many times each entry was made. One primary after the other keeps it. */
type Entries = Map<string, number>;

@Provide()
@Scope(ScopeEnum.Singleton)
export class LedgerService {
  @Inject()
  agent: ProcessAgentService;

  private entries: Entries = new Map();

  @Init()
  async init() {
    await this.agent.transfer<Entries>('ledger', {
      onHandover: () => this.entries,
      onPrimary: entries => {
        this.entries = entries ?? new Map();
      },
    });
  }

  /** Takes `ms`; the entry is made at the end. */
  @RunInPrimary()
  async add(id: string, ms = 0) {
    if (ms > 0) {
      await sleep(ms);
    }
    this.entries.set(id, (this.entries.get(id) ?? 0) + 1);
    journal({ is: 'executed', id });
    return { size: this.entries.size, executedBy: process.pid };
  }

  /** Two entries, of which the second is made by a call like everybody's. */
  @RunInPrimary()
  async addTwice(id: string, ms: number) {
    await this.add(`${id}-1`, ms);
    return this.add(`${id}-2`, ms);
  }

  @RunInPrimary()
  async all() {
    return { entries: this.entries, executedBy: process.pid };
  }
}

/** Written before anybody can see the effect; a test reads it when no process is left to be asked. */
export function journal(line: object): void {
  if (process.env.JOURNAL) {
    appendFileSync(process.env.JOURNAL, `${JSON.stringify({ pid: process.pid, ...line })}\n`);
  }
}
