const cluster = require('node:cluster');
const { isMainThread, Worker } = require('node:worker_threads');
const { stay, take } = require('./probe');

const name = process.env.SNAPSHOT;
if (!isMainThread) {
  take(`${name}-worker-thread`);
} else if (cluster.isWorker) {
  take(`${name}-worker-${cluster.worker.id}`);
  if (cluster.worker.id === 1) {
    new Worker(__filename);
  }
} else {
  if (process.env.RESERVE) {
    process.env.MIDWAY_PROCESS_AGENT_PRIMARY = String(process.pid);
  }
  cluster.fork();
  cluster.fork();
  take(`${name}-primary`);
}
stay();
