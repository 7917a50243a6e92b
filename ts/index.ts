import { announceToChildren } from './role/parent';

export { ProcessAgentConfiguration as Configuration } from './configuration';
export { OnlyInPrimary } from './decorator/onlyInPrimary';
export { RunInAll } from './decorator/runInAll';
export { RunInPrimary } from './decorator/runInPrimary';
export type { AgentErrorCode, CallOutcome } from './errors';
export { ProcessAgentError, registerError } from './errors';
export type {
  AdminConfig,
  AgentEvents,
  CallOptions,
  CurrentCall,
  Deployment,
  Explanation,
  GatherOptions,
  GroupHealth,
  HealthCheckResult,
  HealthConfig,
  HealthPolicy,
  HealthVerdict,
  InAll,
  Member,
  MemberHealth,
  MemberOutcome,
  MetricsAggregator,
  MetricsConfig,
  MetricsOptions,
  MetricsRegistry,
  PrimaryConfig,
  ProcessAgentConfig,
  Role,
  RunInAllOptions,
  RunInPrimaryOptions,
  TransferHooks,
} from './interface';
export { ProcessAgentService } from './service/processAgent.service';
export { ProcessHealthService } from './service/processHealth.service';
export { ProcessMetricsService } from './service/processMetrics.service';

announceToChildren();
