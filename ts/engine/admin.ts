/** What the Rust side has to know to answer over HTTP without JavaScript. */
import type { ResolvedConfig } from '../config';
import type { NativeAgentOptions } from '../native';
import type { HealthBounds } from './engine';

/** Where nobody says how long (ms) a look at the group's health may take. */
const BOUNDS: HealthBounds = { whole: 900, checks: 800 };
const MAX_MS = 2 ** 31 - 1;

/** `undefined`: it is to answer nothing. */
export function nativeAdmin(
  { admin, health, metrics }: ResolvedConfig,
  { whole, checks }: HealthBounds = BOUNDS,
): NativeAgentOptions['admin'] {
  return (
    admin && {
      ...admin,
      hosts: [...admin.hosts],
      // A function is JavaScript, which may not answer.
      quorum: health.policy === 'quorum',
      minMembers: health.minMembers,
      lookTimeout: wholeMs(whole),
      checksTimeout: wholeMs(checks),
      scrapeTimeout: metrics.timeout,
      memberLabel: metrics.memberLabel === true ? 'pid' : metrics.memberLabel || undefined,
      maxQuantiles: metrics.quantiles === 'max',
      openMetrics: metrics.format && metrics.format === 'openmetrics',
    }
  );
}

/** Midway takes any number. */
function wholeMs(ms: number): number {
  return Math.min(Math.max(Math.round(ms), 1), MAX_MS);
}
