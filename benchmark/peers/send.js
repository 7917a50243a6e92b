// Node's own channel with JSON, as one would write it by hand: a number for each call, and a table of pending ones.
const cluster = require('node:cluster');
const { PendingCalls } = require('../pending-calls');
const { answer } = require('../values');

module.exports = {
  name: 'process.send, JSON',
  without: ['buffer'],

  async primary() {
    cluster.on('message', (worker, { call, args }) => {
      if (call !== undefined) {
        worker.send({ reply: call, result: answer(args[0]) });
      }
    });
  },

  async worker() {
    const pending = new PendingCalls();
    process.on('message', ({ reply, result }) => {
      if (reply !== undefined) {
        pending.settle(reply, result);
      }
    });
    return value => pending.make(call => process.send({ call, args: [value] }));
  },
};
