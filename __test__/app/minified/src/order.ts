import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInAll, RunInPrimary } from '@midwayjs/process-agent';

@Provide()
@Scope(ScopeEnum.Singleton)
export class OrderService {
  ran: string[] = [];

  @RunInPrimary()
  async add() {
    return `${process.pid} order`;
  }

  @RunInPrimary({ name: 'orders.count' })
  async count() {
    return `${process.pid} orders`;
  }

  @RunInAll()
  async clear() {
    this.ran.push('order');
  }

  async runs() {
    return this.ran.join();
  }
}
