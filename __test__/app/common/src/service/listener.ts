import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary } from '@midwayjs/process-agent';

/** Takes what no other process could pass. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class ListenerService {
  @RunInPrimary()
  async each(count: number, callback: (i: number) => void) {
    for (let i = 0; i < count; i++) {
      callback(i);
    }
    return count;
  }
}
