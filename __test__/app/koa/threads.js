// The application in the main thread and in worker threads, each on a port of its own.
const { join } = require('node:path');
const { Worker, isMainThread } = require('node:worker_threads');

if (isMainThread) {
  const [own, ...ports] = process.env.PORTS.split(',');
  for (const port of ports) {
    new Worker(join(__dirname, 'threads.js'), { env: { ...process.env, PORT: port } });
  }
  process.env.PORT = own;
}
require('./bootstrap');
