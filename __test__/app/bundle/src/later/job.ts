import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary } from '@midwayjs/process-agent';

/** The next version, with a method that the last one does not have. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class Job {
  @RunInPrimary()
  async run() {
    return `${process.pid} later job`;
  }

  @RunInPrimary()
  async cancel() {
    return `${process.pid} cancelled`;
  }
}
