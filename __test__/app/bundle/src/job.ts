import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary } from '@midwayjs/process-agent';

@Provide()
@Scope(ScopeEnum.Singleton)
export class Job {
  kind = 'job';

  @RunInPrimary()
  async run() {
    return `${process.pid} ${this.kind}`;
  }
}

@Provide()
@Scope(ScopeEnum.Singleton)
export class NightJob extends Job {
  override kind = 'night job';
}
