import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInAll, RunInPrimary } from '@midwayjs/process-agent';

@Provide()
@Scope(ScopeEnum.Singleton)
export class UserService {
  ran: string[] = [];

  @RunInPrimary()
  async add() {
    return `${process.pid} user`;
  }

  @RunInPrimary({ name: 'users.count' })
  async count() {
    return `${process.pid} users`;
  }

  @RunInAll()
  async clear() {
    this.ran.push('user');
  }

  async runs() {
    return this.ran.join();
  }
}
