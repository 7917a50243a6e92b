import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary } from '@midwayjs/process-agent';

/** `service/stock.ts` as it was in the first version of the application. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class StockService {
  @RunInPrimary()
  async count() {
    return { version: 1, executedBy: process.pid };
  }
}
