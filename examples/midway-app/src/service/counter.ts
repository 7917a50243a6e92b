import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary } from '@midwayjs/process-agent';

/** The same counter twice: one in each process, and one in the primary for all of them. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class CounterService {
  private inThisProcess = 0;
  private forAll = 0;

  /** Without the decorator: every process counts for itself. */
  async countHere() {
    this.inThisProcess += 1;
    return { count: this.inThisProcess, countedBy: process.pid };
  }

  /** With it: the method runs in the primary, whichever process calls it. */
  @RunInPrimary()
  async countForAll() {
    this.forAll += 1;
    return { count: this.forAll, countedBy: process.pid };
  }
}
