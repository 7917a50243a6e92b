import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary } from '@midwayjs/process-agent';

/** As of the second version of the application; what it was in the first is in `older`. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class StockService {
  @RunInPrimary()
  async count() {
    return { version: 2, executedBy: process.pid };
  }

  @RunInPrimary()
  async reserve(item: string) {
    return { item, version: 2, executedBy: process.pid };
  }
}
