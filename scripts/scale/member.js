// One of very many processes of one group: an engine, and as little else as can be.
const { bareEngine, silentLogger } = require('../bare-engine');

const options = JSON.parse(process.env.SCALE_MEMBER);
const tell = message => process.connected && process.send(message);
const engine = bareEngine(options, {
  invoke: () => process.pid,
  deliver: (_, data) => tell({ type: 'heard', data: data() }),
  logger: {
    ...silentLogger,
    warn: console.log,
    error: (message, error) => tell({ type: 'failed', error: `${message} ${error?.stack ?? ''}` }),
  },
});
engine.events.on('primary', ({ epoch }) => tell({ type: 'elected', epoch }));

const commands = {
  members: () => engine.members(),
  gather: timeout => engine.gather?.('pid', [], { timeout, own: () => process.pid }),
  async publish(data) {
    await engine.publish?.('news', data);
    return engine.publish !== undefined;
  },
  call: () => (engine.role === 'primary' ? process.pid : engine.call('pid', [])),
  async stop() {
    await engine.handOver();
    await engine.drained();
    await engine.close();
    process.disconnect();
  },
};

process.on('message', async ({ command, args }) => {
  try {
    const value = await commands[command](...args);
    tell({ type: 'result', value: value ?? null });
  } catch (error) {
    tell({ type: 'result', error: `${command}: ${error.code} ${error.message}` });
  }
});
engine.start().then(
  () => {
    engine.markReady();
    tell({ type: 'started', role: engine.role, epoch: engine.epoch });
  },
  error => {
    tell({ type: 'failed', error: `${error.code} ${error.message}` });
  },
);
