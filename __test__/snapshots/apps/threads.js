const { isMainThread, threadId, Worker } = require('node:worker_threads');
const { stay, take } = require('./probe');

if (isMainThread) {
  take(`${process.env.SNAPSHOT}-main`);
  new Worker(__filename);
  new Worker(__filename);
} else {
  take(`${process.env.SNAPSHOT}-thread-${threadId}`);
}
stay();
