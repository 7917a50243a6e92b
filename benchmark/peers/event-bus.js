// Midway's event bus. Its questions go from its "main" to its "workers", so the process that calls is the main of a bus
// of its own, whose one worker is the cluster primary.
const cluster = require('node:cluster');
const inProject = require('../in-project');
const { answer } = require('../values');

module.exports = {
  name: '@midwayjs/event-bus',
  packages: { '@midwayjs/event-bus': '1.11.1' },
  without: ['buffer'],

  async primary() {
    const { ChildProcessEventBus } = inProject('@midwayjs/event-bus');
    class AnsweringBus extends ChildProcessEventBus {
      workerSubscribeMessage(handler) {
        this.options.caller.on('message', handler);
      }

      workerSendMessage(message) {
        this.options.caller.send(message);
      }
    }
    cluster.on('online', async caller => {
      const bus = new AnsweringBus({ isWorker: true, caller });
      bus.subscribe((message, responder) => responder.end(answer(message.body)));
      // The caller's end listens once its module is loaded; what is sent earlier waits in the channel.
      await bus.start();
    });
  },

  async worker() {
    const { ChildProcessEventBus } = inProject('@midwayjs/event-bus');
    const bus = new ChildProcessEventBus({ isWorker: false });
    bus.addWorker({
      pid: process.ppid,
      on: (event, listener) => process.on(event, listener),
      send: message => process.send(message),
    });
    await bus.start();
    return value => bus.publishAsync(value, { timeout: 60_000 });
  },
};
