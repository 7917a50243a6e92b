// This package, forbidden to wait busily for answers.
const { applicationPeer } = require('../application');

module.exports = {
  name: 'this package, no spin',
  project: 'benchmark',
  env: { MIDWAY_PROCESS_AGENT_SPIN: '0' },
  ...applicationPeer,
};
