/** How options are checked, of decorators and of calls: an unknown one, or a value that can't be, is named. */
import { type AgentErrorCode, ProcessAgentError } from './errors';
import type { AgentEvents, CallOptions, GatherOptions } from './interface';

/** What is allowed, in words, and whether a value is. */
export interface OptionRule {
  allowed: string;
  test(value: unknown): boolean;
}

/** The longest (ms) that a timer of Node can wait; beyond it, it would fire at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export const TIMEOUT: OptionRule = {
  allowed: `a whole number of milliseconds from 1 to ${MAX_TIMER_MS}`,
  test: value => Number.isInteger(value) && (value as number) > 0 && (value as number) <= MAX_TIMER_MS,
};

export const BOOLEAN: OptionRule = { allowed: 'true or false', test: value => typeof value === 'boolean' };

const SIGNAL: OptionRule = {
  allowed: 'an AbortSignal',
  // Not by its class: signals of other realms, and of polyfills, are as good.
  test: value =>
    typeof (value as Partial<AbortSignal> | null)?.aborted === 'boolean' &&
    typeof (value as Partial<AbortSignal>).addEventListener === 'function',
};

const CALL_RULES: Record<keyof CallOptions, OptionRule> = { timeout: TIMEOUT, signal: SIGNAL, idempotent: BOOLEAN };

export const GATHER_RULES: Record<keyof GatherOptions, OptionRule> = { timeout: TIMEOUT };

/** What ProcessAgentService tells. */
export const EVENTS: readonly (keyof AgentEvents)[] = [
  'primary',
  'worker',
  'primary-changed',
  'member-joined',
  'member-left',
];

/** ms that members may take to answer a question to all. */
export const GATHER_TIMEOUT = 5_000;

/** `what` is what takes the options, as its user writes it: `@RunInAll()`, `gather()`. */
export function checkOptions(
  what: string,
  code: AgentErrorCode,
  options: unknown,
  rules: Record<string, OptionRule>,
): void {
  if (typeof options !== 'object' || options === null) {
    throw new ProcessAgentError(code, `${what} takes an object of options, or nothing.`);
  }
  for (const [key, value] of Object.entries(options)) {
    if (!Object.hasOwn(rules, key)) {
      const known = Object.keys(rules).join(', ');
      throw new ProcessAgentError(code, `${what} has no option '${key}'. Options: ${known}.`);
    }
    if (value !== undefined && !rules[key].test(value)) {
      throw new ProcessAgentError(code, `${what}: ${key} must be ${rules[key].allowed}.`);
    }
  }
}

export function checkCallOptions(options: CallOptions | undefined): void {
  if (options !== undefined) {
    checkOptions('call()', 'ERR_AGENT_CONFIG', options, CALL_RULES);
  }
}

/** The timeout of a question to all. */
export function gatherTimeout(what: string, options: GatherOptions | undefined): number {
  if (options !== undefined) {
    checkOptions(what, 'ERR_AGENT_CONFIG', options, GATHER_RULES);
  }
  return options?.timeout ?? GATHER_TIMEOUT;
}

/** A timeout that is no option but an argument. */
export function checkTimeout(what: string, timeout: number | undefined): void {
  checkOptions(what, 'ERR_AGENT_CONFIG', { timeout }, { timeout: TIMEOUT });
}

/** The name of a handler, a topic or a state. */
export function checkName(what: string, name: unknown): asserts name is string {
  if (typeof name !== 'string' || name === '' || name.length > 200) {
    throw new ProcessAgentError('ERR_AGENT_CONFIG', `${what}(): a name is a string of 1 to 200 characters.`);
  }
}

export function checkEvent(what: string, event: keyof AgentEvents): void {
  if (!EVENTS.includes(event)) {
    throw new ProcessAgentError(
      'ERR_AGENT_CONFIG',
      `${what}(): there is no event '${String(event)}'. Events: ${EVENTS.join(', ')}.`,
    );
  }
}

export function checkFunction(what: string, name: string, fn: unknown): void {
  if (typeof fn !== 'function') {
    throw new ProcessAgentError('ERR_AGENT_CONFIG', `${what}('${name}'): the second argument must be a function.`);
  }
}

export function checkArgs(what: string, name: string, args: unknown): void {
  if (!Array.isArray(args)) {
    throw new ProcessAgentError('ERR_AGENT_CONFIG', `${what}('${name}'): the arguments must be an array.`);
  }
}
