/** The component's configuration: its defaults, and what is refused at start. */
import { isAbsolute } from 'node:path';
import { ProcessAgentError } from './errors';
import type { ProcessAgentConfig } from './interface';

/** The configuration with every default filled in. */
export type ResolvedConfig = Required<Omit<ProcessAgentConfig, 'group' | 'runtimeDir'>> &
  Pick<ProcessAgentConfig, 'group' | 'runtimeDir'>;

export const DEFAULTS = {
  candidate: true,
  readyTimeout: 25_000,
  stopTimeout: 1_200,
  maxPayload: 64 * 1024 * 1024,
  maxPending: 10_000,
} as const;

const GROUP_NAME = /^[A-Za-z0-9_.:@-]{1,100}$/;
/** The longest that a timer of Node can wait; beyond it, it would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** For each key, what is allowed, in words, and whether a value is. */
const RULES: { [key in keyof Required<ProcessAgentConfig>]: { allowed: string; test(value: unknown): boolean } } = {
  group: {
    allowed: '1 to 100 characters of A-Z a-z 0-9 . _ : @ -',
    test: value => typeof value === 'string' && GROUP_NAME.test(value),
  },
  runtimeDir: {
    allowed: 'an absolute path',
    test: value => typeof value === 'string' && isAbsolute(value) && !value.includes('\0'),
  },
  candidate: { allowed: 'true or false', test: value => typeof value === 'boolean' },
  readyTimeout: wholeNumber(0, MAX_TIMER_MS, 'milliseconds'),
  stopTimeout: wholeNumber(0, MAX_TIMER_MS, 'milliseconds'),
  maxPayload: wholeNumber(1, 1024 ** 3, 'bytes'),
  maxPending: wholeNumber(1, 1_000_000, 'calls'),
};

/**
 * Checks what the user wrote under `processAgent` and fills in the defaults.
 * Throws `ERR_AGENT_CONFIG`, naming the key, what was given and what is allowed.
 */
export function resolveConfig(raw: unknown): ResolvedConfig {
  if (raw === undefined) {
    return { ...DEFAULTS };
  }
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw refuse('processAgent', raw, 'an object');
  }
  const given: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) {
    if (!Object.hasOwn(RULES, key)) {
      const nearest = nearestKey(key);
      throw new ProcessAgentError(
        'ERR_AGENT_CONFIG',
        `Unknown configuration key processAgent.${shorten(key)}. ` +
          (nearest ? `Did you mean processAgent.${nearest}?` : `Known keys: ${Object.keys(RULES).join(', ')}.`),
      );
    }
    if (value === undefined) {
      continue;
    }
    const rule = RULES[key as keyof ProcessAgentConfig];
    if (!rule.test(value)) {
      throw refuse(`processAgent.${key}`, value, rule.allowed);
    }
    given[key] = value;
  }
  return { ...DEFAULTS, ...given };
}

function wholeNumber(min: number, max: number, unit: string) {
  return {
    allowed: `a whole number of ${unit} from ${min} to ${max}`,
    test: (value: unknown) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
  };
}

function refuse(key: string, given: unknown, allowed: string): ProcessAgentError {
  return new ProcessAgentError('ERR_AGENT_CONFIG', `${key} is ${describe(given)}; it must be ${allowed}.`);
}

function describe(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return shorten(JSON.stringify(value));
    case 'bigint':
      return `${value}n`;
    case 'function':
      return 'a function';
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? 'an array' : 'an object';
    default:
      return String(value);
  }
}

function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 40)}… (${text.length} characters)`;
}

function nearestKey(key: string): string | undefined {
  let nearest: string | undefined;
  // Beyond that it is a guess, not a typing error.
  let least = key.length > 6 ? 4 : 3;
  for (const known of Object.keys(RULES)) {
    const distance = editDistance(key.slice(0, 60).toLowerCase(), known.toLowerCase());
    if (distance < least) {
      least = distance;
      nearest = known;
    }
  }
  return nearest;
}

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}
