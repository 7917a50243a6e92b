// A unix socket of node:net with a frame for each call.
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { once } = require('node:events');
const { readFrames, writeFrame } = require('../frames');
const { PendingCalls } = require('../pending-calls');
const { answer } = require('../values');

const socketPath = () => path.join(os.tmpdir(), 'net.sock');

module.exports = {
  name: 'node:net, a frame per call',
  without: ['buffer'],

  async primary() {
    const server = net.createServer(socket => {
      readFrames(socket, (call, [value]) => writeFrame(socket, call, answer(value)));
    });
    await once(server.listen(socketPath()), 'listening');
  },

  async worker() {
    const pending = new PendingCalls();
    const socket = net.connect(socketPath());
    await once(socket, 'connect');
    readFrames(socket, (call, result) => pending.settle(call, result));
    return value => pending.make(call => writeFrame(socket, call, [value]));
  },
};
