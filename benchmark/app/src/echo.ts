import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary } from '@midwayjs/process-agent';

@Provide()
@Scope(ScopeEnum.Singleton)
export class EchoService {
  /** What `answer` in benchmark/values.js does. */
  @RunInPrimary()
  async echo(value: unknown) {
    return value === '#pid' ? process.pid : value;
  }

  /** The same without the decorator: what a local call costs is compared with it. */
  async bare(value: unknown) {
    return value === '#pid' ? process.pid : value;
  }
}
