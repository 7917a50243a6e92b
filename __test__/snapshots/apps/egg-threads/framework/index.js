/** As much of an egg framework as the master needs to start its agent and its workers. */
const { EventEmitter } = require('node:events');
const path = require('node:path');
const { stay, take } = require('../../apps/probe');

class Framework extends EventEmitter {
  config = {};

  constructor() {
    super();
    take(path.basename(process.argv[1]) === 'agent_worker.js' ? 'egg-thread-agent' : 'egg-thread-worker');
  }

  ready(listener) {
    setImmediate(listener);
    stay();
  }

  callback() {
    return (_request, response) => response.end();
  }

  close() {}
}
exports.Application = Framework;
exports.Agent = Framework;
