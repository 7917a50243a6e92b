import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary } from '@midwayjs/process-agent';

@Provide()
@Scope(ScopeEnum.Singleton)
export class EchoService {
  @RunInPrimary()
  async echo(value: unknown) {
    return value;
  }
}
