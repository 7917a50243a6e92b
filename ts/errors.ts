/** The agent's own error, and the form in which any error travels between members. */
export { type AgentErrorCode, type CallOutcome, ProcessAgentError, withName } from './agentError';
export { registerError } from './codec/errorClasses';
export { decodeError, encodeError, type PlainError } from './codec/thrown';
