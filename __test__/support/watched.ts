/** A class for aspects to watch. */
import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary } from '../../ts';

@Provide()
@Scope(ScopeEnum.Singleton)
export class Watched {
  @RunInPrimary()
  async run() {
    return 'ran';
  }
}
