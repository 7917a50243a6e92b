import { ApplicationContext, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { METRICS_RULES } from '../config';
import type { MetricsOptions } from '../interface';
import type { ApplicationContext as Container } from '../midway';
import { checkOptions } from '../options';
import { membershipOf } from '../state';

/** The metrics of the whole group, from any member. Inject it, and answer `/metrics` with it. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class ProcessMetricsService {
  /** @internal */
  @ApplicationContext()
  container!: Container;

  /** The content type of `getMetrics()`. */
  get contentType(): string {
    return membershipOf(this.container).metrics.contentType;
  }

  /**
   * All members' metrics as one exposition. A member that does not answer within `timeout` counts with what it said last.
   * In `standalone`: what the registries of this process say.
   */
  async getMetrics(options?: MetricsOptions): Promise<string> {
    if (options !== undefined) {
      checkOptions('getMetrics()', 'ERR_AGENT_CONFIG', options, METRICS_RULES);
    }
    const membership = membershipOf(this.container);
    await membership.started;
    return membership.metrics.text(options);
  }
}
