import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary } from '@midwayjs/process-agent';

/** Of a name that stays. */
@Provide('stock')
@Scope(ScopeEnum.Singleton)
export class StockService {
  @RunInPrimary()
  async add() {
    return `${process.pid} stock`;
  }
}
