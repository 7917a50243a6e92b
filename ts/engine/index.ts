/** Chooses the engine for a decision. */
import { isMainThread } from 'node:worker_threads';
import type { ResolvedConfig } from '../config';
import type { Decision } from '../role/decision';
import type { Engine, EngineHost } from './engine';
import { StandaloneEngine } from './standalone';

/**
 * `decideAgain` is asked when this process forks a cluster worker, which a standalone application may do at any time.
 */
export function createEngine(
  decision: Decision,
  config: ResolvedConfig,
  host: EngineHost,
  decideAgain?: () => Decision,
): Engine {
  if (decision.deployment !== 'standalone') {
    return createLocalEngine(decision, config, host);
  }
  const standalone = new StandaloneEngine(decision, config);
  if (!decideAgain || !isMainThread) {
    return standalone;
  }
  const { UpgradingEngine } = require('./upgrade') as typeof import('./upgrade');
  return new UpgradingEngine(standalone, decideAgain, again => createLocalEngine(again, config, host), host.logger);
}

function createLocalEngine(decision: Decision, config: ResolvedConfig, host: EngineHost): Engine {
  // Only now: it loads the binary, which a standalone application must never do.
  const { LocalEngine } = require('./local') as {
    LocalEngine: new (decision: Decision, config: ResolvedConfig, host: EngineHost) => Engine;
  };
  return new LocalEngine(decision, config, host);
}
