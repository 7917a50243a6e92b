// One process that joins and leaves a group as often as it is told, and measures what it holds.
const fs = require('node:fs');
const { bareEngine } = require('../../scripts/bare-engine');

const options = JSON.parse(process.env.CHURN);
let staying;

async function join() {
  const engine = bareEngine(options, { invoke: (_, args) => args[0] });
  await engine.start();
  engine.markReady();
  return engine;
}

async function joinCallLeave(number) {
  const engine = await join();
  const answer = await engine.call('echo', [number]);
  if (answer !== number) {
    throw new Error(`join ${number}: the primary has answered ${answer}`);
  }
  await engine.close();
}

const commands = {
  async stay() {
    staying = await join();
  },
  async churn(times) {
    for (let i = 0; i < times; i++) {
      await joinCallLeave(i);
    }
  },
  async measure() {
    // What was closed goes away in the next turns, and what was referred to with it.
    for (let i = 0; i < 5; i++) {
      global.gc();
      await new Promise(resolve => setTimeout(resolve, 20));
    }
    const { rss, heapUsed, external } = process.memoryUsage();
    return {
      files: fs.readdirSync('/proc/self/fd').length,
      threads: fs.readdirSync('/proc/self/task').length,
      resources: process.getActiveResourcesInfo().sort(),
      rss,
      heap: heapUsed + external,
    };
  },
  members: () => staying.members(),
};

process.on('message', async ({ id, command, args }) => {
  try {
    process.send({ type: 'result', id, value: await commands[command](...args) });
  } catch (error) {
    process.send({ type: 'result', id, error: { message: error.message, code: error.code } });
  }
});
process.on('disconnect', () => process.exit());
