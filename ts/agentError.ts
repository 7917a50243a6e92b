/** The agent's own error. */
import type { MemberOutcome } from './interface';
import { readable } from './prefix';

export type AgentErrorCode =
  | 'ERR_AGENT_CONFIG'
  | 'ERR_AGENT_DECORATOR'
  | 'ERR_AGENT_NOT_STARTED'
  | 'ERR_AGENT_CLOSED'
  | 'ERR_AGENT_NO_PRIMARY'
  | 'ERR_AGENT_PRIMARY_LOST'
  | 'ERR_AGENT_PRIMARY_FROZEN'
  | 'ERR_AGENT_MEMBER_LOST'
  | 'ERR_AGENT_PARTIAL'
  | 'ERR_AGENT_ABORTED'
  | 'ERR_AGENT_TIMEOUT'
  | 'ERR_AGENT_UNKNOWN_METHOD'
  | 'ERR_AGENT_AMBIGUOUS'
  | 'ERR_AGENT_NOT_SERIALIZABLE'
  | 'ERR_AGENT_TOO_LARGE'
  | 'ERR_AGENT_TOO_MANY_PENDING'
  | 'ERR_AGENT_BINDING'
  | 'ERR_AGENT_RUNTIME_DIR'
  | 'ERR_AGENT_REFUSED'
  | 'ERR_AGENT_INTERNAL';

/**
 * What is known about the call that failed: `not-sent` (it did not run), `unknown` (sent, no reply: it may have run)
 * or `executed` (it ran; its result could not be delivered).
 */
export type CallOutcome = 'not-sent' | 'unknown' | 'executed';

/** A failure of the agent itself, as opposed to an error thrown by the method that was called. */
export class ProcessAgentError extends Error {
  readonly code: AgentErrorCode;
  declare readonly outcome?: CallOutcome;
  /** Of `ERR_AGENT_PARTIAL`: what each member made of it. */
  declare readonly outcomes?: MemberOutcome[];

  constructor(
    code: AgentErrorCode,
    message: string,
    options?: { outcome?: CallOutcome; outcomes?: MemberOutcome[]; cause?: unknown },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options?.outcome !== undefined) {
      this.outcome = options.outcome;
    }
    if (options?.outcomes !== undefined) {
      this.outcomes = options.outcomes;
    }
  }
}
Object.defineProperty(ProcessAgentError.prototype, 'name', {
  value: 'ProcessAgentError',
  writable: true,
  configurable: true,
});

/** What was refused of a value, with the name of what it belongs to. Of another error nothing changes. */
export function withName(name: string, error: unknown, outcome: CallOutcome): unknown {
  return error instanceof ProcessAgentError
    ? new ProcessAgentError(error.code, `${readable(name)}: ${error.message}`, { outcome, cause: error.cause })
    : error;
}
