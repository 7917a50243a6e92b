// ZeroMQ over a unix socket: a dealer in each worker, a router in the primary, JSON.
const os = require('node:os');
const path = require('node:path');
const inProject = require('../in-project');
const { PendingCalls } = require('../pending-calls');
const { answer } = require('../values');

// No limit to what waits: a router that has reached it drops messages.
const unlimited = { sendHighWaterMark: 0, receiveHighWaterMark: 0 };
const address = () => `ipc://${path.join(os.tmpdir(), 'zeromq.sock')}`;

/** One message after the other: a second `send` beside one that waits is an error. */
class Outgoing {
  #socket;
  #waiting = [];
  #isSending = false;

  constructor(socket) {
    this.#socket = socket;
  }

  async send(message) {
    this.#waiting.push(message);
    if (this.#isSending) {
      return;
    }
    this.#isSending = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      for (const next of batch) {
        await this.#socket.send(next);
      }
    }
    this.#isSending = false;
  }
}

module.exports = {
  name: 'zeromq, JSON',
  packages: { zeromq: '6.8.0' },
  without: ['buffer'],

  async primary() {
    const { Router } = inProject('zeromq');
    const router = new Router({ ...unlimited, mandatory: true });
    await router.bind(address());
    const replies = new Outgoing(router);
    (async () => {
      for await (const [from, call, text] of router) {
        replies.send([from, call, JSON.stringify(answer(JSON.parse(text)[0]))]);
      }
    })();
  },

  async worker() {
    const { Dealer } = inProject('zeromq');
    const dealer = new Dealer(unlimited);
    dealer.connect(address());
    const pending = new PendingCalls();
    const calls = new Outgoing(dealer);
    (async () => {
      for await (const [call, text] of dealer) {
        pending.settle(Number(call), JSON.parse(text));
      }
    })();
    return value => pending.make(call => calls.send([String(call), JSON.stringify([value])]));
  },
};
