import { announceToWorkers } from './environment';

export { ProcessAgentConfiguration as Configuration } from './configuration';
export { OnlyInPrimary } from './decorator/onlyInPrimary';
export { RunInPrimary } from './decorator/runInPrimary';
export type { AgentErrorCode, CallOutcome } from './errors';
export { ProcessAgentError, registerError } from './errors';
export type {
  AgentEvents,
  CallOptions,
  Deployment,
  Explanation,
  Member,
  ProcessAgentConfig,
  Role,
  RunInPrimaryOptions,
} from './interface';
export { ProcessAgentService } from './service/processAgent.service';

announceToWorkers();
