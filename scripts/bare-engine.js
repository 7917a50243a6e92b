/** An engine without Midway, for the processes that tests and measurements start. It is that of `dist`, built before. */
const { resolveConfig } = require('../dist/config');
const { LocalEngine } = require('../dist/engine/local');

const silent = () => {};
const silentLogger = { debug: silent, info: silent, warn: silent, error: silent };

/** A host that says nothing and has nothing to hand over. */
const silentHost = {
  wantsInvocations: false,
  invoke: silent,
  deliver: silent,
  takeOver: silent,
  giveUp: silent,
  logger: silentLogger,
};

/** What the deployment `configured` decides: a candidate like all others. */
function configured(group) {
  return {
    deployment: 'configured',
    group,
    groupKey: group,
    candidate: true,
    preferred: false,
    waitForPreferred: false,
    reasons: [],
  };
}

/** `decision` and `host` name what is different from `configured()` and `silentHost`. */
function bareEngine({ group, runtimeDir, config, decision, protocols }, host) {
  const decided = { ...configured(group), ...decision };
  return new LocalEngine(decided, resolveConfig({ runtimeDir, ...config }), { ...silentHost, ...host }, protocols);
}

module.exports = { bareEngine, silentLogger };
