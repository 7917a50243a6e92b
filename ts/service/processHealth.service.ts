import { ApplicationContext, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import type { GroupHealth } from '../interface';
import type { ApplicationContext as Container } from '../midway';
import { membershipOf } from '../state';

/** How the group does. Inject it. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class ProcessHealthService {
  /** @internal */
  @ApplicationContext()
  container!: Container;

  /**
   * Every member, this one and the dead included: its state, its checks, and what is wrong. Takes less than Midway's
   * `core.healthCheckTimeout`, whatever state the group is in.
   */
  async getStatus(): Promise<GroupHealth> {
    const membership = membershipOf(this.container);
    await membership.started;
    return membership.groupHealth();
  }
}
