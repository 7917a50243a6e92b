// This package on its fallback lane: calls are carried by the Rust thread, as where the event loop can't poll sockets.
const { applicationPeer } = require('../application');

module.exports = {
  name: 'this package, thread lane',
  project: 'benchmark',
  env: { MIDWAY_PROCESS_AGENT_LANE: 'thread' },
  ...applicationPeer,
};
