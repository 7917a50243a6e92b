/** Chooses the engine for a decision. */
import { isMainThread } from 'node:worker_threads';
import type { ResolvedConfig } from '../config';
import type { Decision } from '../role/decision';
import type { Engine, EngineHost } from './engine';
import { StandaloneEngine } from './standalone';

/** Deployments of a process that may still become a cluster primary by forking a worker. */
const MAY_FORK: ReadonlySet<string> = new Set<Decision['deployment']>(['standalone', 'pm2-fork']);

/**
 * `decideAgain` is asked when this process forks a cluster worker, or a worker thread of it boots an application, which
 * may happen at any time.
 */
export function createEngine(
  decision: Decision,
  config: ResolvedConfig,
  host: EngineHost,
  decideAgain?: (hasThreads: boolean) => Decision,
): Engine {
  const join = (decided: Decision, served: EngineHost): Engine =>
    decided.deployment === 'standalone'
      ? new StandaloneEngine(decided, config, served)
      : createLocalEngine(decided, config, served);
  if (!decideAgain || !isMainThread || !MAY_FORK.has(decision.deployment)) {
    return join(decision, host);
  }
  const { UpgradingEngine } = require('./upgrade') as typeof import('./upgrade');
  return new UpgradingEngine(decision, decideAgain, join, host);
}

function createLocalEngine(decision: Decision, config: ResolvedConfig, host: EngineHost): Engine {
  // Only now: it loads the binary, which a standalone application must never do.
  const { LocalEngine } = require('./local') as {
    LocalEngine: new (decision: Decision, config: ResolvedConfig, host: EngineHost) => Engine;
  };
  return new LocalEngine(decision, config, host);
}
