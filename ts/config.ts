/** The component's configuration: its defaults, and what is refused at start. */
import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import { ProcessAgentError } from './errors';
import type {
  AdminConfig,
  HealthConfig,
  MetricsConfig,
  MetricsOptions,
  PrimaryConfig,
  ProcessAgentConfig,
} from './interface';
import { AGGREGATORS } from './metrics/family';
import { isRegistry } from './metrics/registry-types';
import { BOOLEAN, MAX_TIMER_MS, type OptionRule } from './options';

/** The configuration with every default filled in. */
export type ResolvedConfig = Required<
  Omit<ProcessAgentConfig, Optional | 'primary' | 'health' | 'metrics' | 'admin'>
> & {
  primary: Required<PrimaryConfig>;
  health: Required<HealthConfig>;
  metrics: Required<Omit<MetricsConfig, OptionalMetrics>> & Pick<MetricsConfig, OptionalMetrics>;
  /** `undefined`: there is no endpoint. */
  admin?: Required<AdminConfig>;
} & Pick<ProcessAgentConfig, Optional>;

/** Keys whose default depends on the process. */
type Optional = 'group' | 'runtimeDir' | 'user' | 'strictCopy';
type OptionalMetrics = 'registries' | 'format';

export const DEFAULTS = {
  candidate: true,
  readyTimeout: 25_000,
  stopTimeout: 1_200,
  maxPayload: 64 * 1024 * 1024,
  maxPending: 10_000,
  maxPendingBytes: 256 * 1024 * 1024,
  primary: { maxBlocked: 30_000, onFrozen: 'wait' },
  health: { group: true, maxLag: 1_000, forgetDead: 60_000, minMembers: 0, policy: 'all' },
  metrics: { pushInterval: 5_000, timeout: 1_000, memberLabel: false, quantiles: 'drop', aggregators: {} },
  spin: true,
} as const;

/** Of what is off until it is given. */
const ADMIN_DEFAULTS = { host: '127.0.0.1', hosts: [] };

const GROUP_NAME = /^[A-Za-z0-9_.:@-]{1,100}$/;
const HOST_NAME = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
/**
 * The shortest `readyTimeout` (ms). In the first election of a group others wait 200 ms for a preferred candidate; a
 * process that waits for less than an election takes could never start.
 */
const MIN_READY_MS = 500;

const PORT = wholeNumber(1, 65_535);

/** Of what can differ for one answer, too. */
export const METRICS_RULES: Record<keyof MetricsOptions, OptionRule> = {
  format: oneOf('text', 'openmetrics'),
  memberLabel: {
    allowed: "true, false or 'slot'",
    test: value => typeof value === 'boolean' || value === 'slot',
  },
  timeout: wholeNumber(0, 3_600_000, 'milliseconds'),
};

type Rules<T> = { [key in keyof Required<T>]: OptionRule | Rules<Required<T>[key]> };

const RULES: Rules<ProcessAgentConfig> = {
  group: {
    allowed: '1 to 100 characters of A-Z a-z 0-9 . _ : @ -, or false for no group',
    test: value => value === false || (typeof value === 'string' && GROUP_NAME.test(value)),
  },
  runtimeDir: {
    allowed: 'an absolute path',
    test: value => typeof value === 'string' && isAbsolute(value) && !value.includes('\0'),
  },
  candidate: BOOLEAN,
  readyTimeout: wholeNumber(MIN_READY_MS, MAX_TIMER_MS, 'milliseconds'),
  stopTimeout: wholeNumber(0, MAX_TIMER_MS, 'milliseconds'),
  maxPayload: wholeNumber(1, 1024 ** 3, 'bytes'),
  maxPending: wholeNumber(1, 1_000_000, 'calls'),
  maxPendingBytes: wholeNumber(1, 2 ** 40, 'bytes'),
  primary: {
    maxBlocked: wholeNumber(100, MAX_TIMER_MS, 'milliseconds'),
    onFrozen: oneOf('wait', 'kill'),
  },
  health: {
    group: BOOLEAN,
    maxLag: wholeNumber(100, MAX_TIMER_MS, 'milliseconds'),
    forgetDead: wholeNumber(0, MAX_TIMER_MS, 'milliseconds'),
    minMembers: wholeNumber(0, 100_000, 'members'),
    policy: {
      allowed: "'all', 'quorum' or a function",
      test: value => value === 'all' || value === 'quorum' || typeof value === 'function',
    },
  },
  metrics: {
    registries: {
      allowed: 'an array of registries, or a function that returns one',
      test: value => typeof value === 'function' || (Array.isArray(value) && value.every(isRegistry)),
    },
    pushInterval: wholeNumber(100, 24 * 3_600_000, 'milliseconds'),
    quantiles: oneOf('drop', 'max'),
    aggregators: {
      allowed: `an object of metrics' names, each with one of ${AGGREGATORS.join(', ')}`,
      test: value =>
        typeof value === 'object' &&
        value !== null &&
        !Array.isArray(value) &&
        Object.values(value).every(each => AGGREGATORS.includes(each)),
    },
    ...METRICS_RULES,
  },
  admin: {
    port: PORT,
    host: {
      allowed: 'an IP address of this host, such as 127.0.0.1 or ::1, or 0.0.0.0 for all of them',
      // A zone (%eth0) means something on one host alone.
      test: value => typeof value === 'string' && isIP(value) !== 0 && !value.includes('%'),
    },
    hosts: {
      allowed: 'an array of host names, without a port',
      test: value => Array.isArray(value) && value.every(name => typeof name === 'string' && HOST_NAME.test(name)),
    },
  },
  strictCopy: oneOf('off', 'warn', 'error'),
  // The greatest number of 32 bits stands for no user.
  user: wholeNumber(0, 2 ** 32 - 2),
  spin: BOOLEAN,
};

/**
 * Checks what the user wrote under `processAgent` and fills in the defaults.
 * Throws `ERR_AGENT_CONFIG`, naming the key, what was given and what is allowed.
 * `quantiles`: of this application, where the user has not said.
 */
export function resolveConfig(raw: unknown, quantiles: 'drop' | 'max' = 'drop'): ResolvedConfig {
  const defaults = { ...DEFAULTS, metrics: { ...DEFAULTS.metrics, quantiles } };
  const resolved = check('processAgent', raw, RULES, defaults) as unknown as ResolvedConfig;
  if (resolved.admin) {
    resolved.admin = { ...ADMIN_DEFAULTS, ...resolved.admin };
    if (resolved.admin.port === undefined) {
      throw refuse('processAgent.admin.port', undefined, PORT.allowed);
    }
  }
  return resolved;
}

function check(path: string, raw: unknown, rules: object, defaults: object): Record<string, unknown> {
  const resolved: Record<string, unknown> = { ...defaults };
  if (raw === undefined) {
    return resolved;
  }
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw refuse(path, raw, 'an object');
  }
  for (const [key, value] of Object.entries(raw)) {
    if (!Object.hasOwn(rules, key)) {
      const nearest = nearestKey(key, rules);
      throw new ProcessAgentError(
        'ERR_AGENT_CONFIG',
        `Unknown configuration key ${path}.${shorten(key)}. ` +
          (nearest ? `Did you mean ${path}.${nearest}?` : `Known keys: ${Object.keys(rules).join(', ')}.`),
      );
    }
    const rule = (rules as Record<string, object>)[key];
    if (!isRule(rule)) {
      if (value === undefined) {
        // As if it were not given.
        continue;
      }
      resolved[key] = check(`${path}.${key}`, value, rule, resolved[key] as object);
    } else if (value !== undefined) {
      if (!rule.test(value)) {
        throw refuse(`${path}.${key}`, value, rule.allowed);
      }
      resolved[key] = value;
    }
  }
  return resolved;
}

function isRule(rule: object): rule is OptionRule {
  return typeof (rule as Partial<OptionRule>).test === 'function';
}

function oneOf(...values: string[]): OptionRule {
  const quoted = values.map(value => `'${value}'`);
  return {
    allowed: `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`,
    test: value => typeof value === 'string' && values.includes(value),
  };
}

function wholeNumber(min: number, max: number, unit?: string): OptionRule {
  return {
    allowed: `a whole number ${unit ? `of ${unit} ` : ''}from ${min} to ${max}`,
    test: value => Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
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

function nearestKey(key: string, rules: object): string | undefined {
  let nearest: string | undefined;
  // Beyond that it is a guess, not a typing error.
  let least = key.length > 6 ? 4 : 3;
  for (const known of Object.keys(rules)) {
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
