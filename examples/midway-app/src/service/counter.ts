import { Init, Inject, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { ProcessAgentService, RunInPrimary } from '@midwayjs/process-agent';
import { Counter } from 'prom-client';

/** A metric like any other: each process counts its own, and `/metrics` adds them up. */
const counted = new Counter({ name: 'app_counted_total', help: 'Times that a process has counted for itself.' });

/** The same counter twice: one in each process, and one in the primary for all of them. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class CounterService {
  @Inject()
  agent: ProcessAgentService;

  private inThisProcess = 0;
  private forAll = 0;

  /** A primary that stops in order hands over what it has counted; `undefined` comes from one that died. */
  @Init()
  async init() {
    await this.agent.transfer<number>('counter', {
      onHandover: () => this.forAll,
      onPrimary: count => {
        this.forAll = count ?? 0;
      },
    });
  }

  /** Without the decorator: every process counts for itself. */
  async countHere() {
    this.inThisProcess += 1;
    counted.inc();
    return { count: this.inThisProcess, countedBy: process.pid };
  }

  /** With it: the method runs in the primary, whichever process calls it. */
  @RunInPrimary()
  async countForAll() {
    this.forAll += 1;
    return { count: this.forAll, countedBy: process.pid };
  }

  countedHere() {
    return this.inThisProcess;
  }

  /** One answer of each process. */
  async countedByEach() {
    const outcomes = await this.agent.inAll(CounterService).countedHere();
    return outcomes.map(({ member, ...outcome }) => ({ pid: member.pid, role: member.role, ...outcome }));
  }
}
