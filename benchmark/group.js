// One peer's processes: a cluster primary and one worker, which measures when it is told to.
//   node benchmark/group.js <peer>   (with the peer's project as working directory)
const cluster = require('node:cluster');
const path = require('node:path');
const { measure } = require('./measure');

const peer = require(path.join(__dirname, 'peers', process.argv[2]));

async function main() {
  if (cluster.isPrimary) {
    await peer.primary();
    const worker = cluster.fork();
    // Between run.js and the worker; the calls never come this way, except those of the peer that is this way.
    process.on('message', order => worker.send(order));
    worker.on('message', message => message.report && process.send(message));
    worker.on('exit', code => process.exit(code ?? 1));
    process.on('disconnect', () => process.exit(0));
    return;
  }
  const call = await peer.worker();
  process.on('message', async message => {
    if (message.measure) {
      process.send({ report: await measure(call, message.measure) });
    }
  });
  process.send({ report: 'ready' });
}

main().catch(error => {
  console.error(error);
  process.exit(1);
});
