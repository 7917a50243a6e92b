// Node's own channel with JSON, as one would write it by hand: an id for each call and a map of pending ones.
const cluster = require('node:cluster');

module.exports = {
  name: 'process.send',
  project: 'benchmark',

  async primary() {
    cluster.on('message', (worker, { call, args }) => {
      if (call !== undefined) {
        worker.send({ reply: call, result: args[0] });
      }
    });
  },

  async worker() {
    const pending = new Map();
    let last = 0;
    process.on('message', ({ reply, result }) => {
      if (reply !== undefined) {
        pending.get(reply)(result);
        pending.delete(reply);
      }
    });
    return value =>
      new Promise(resolve => {
        last += 1;
        pending.set(last, resolve);
        process.send({ call: last, args: [value] });
      });
  },
};
