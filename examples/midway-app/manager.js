// Starts the application in four processes with Midway's own cluster manager.
const { join } = require('node:path');
const { ClusterManager } = require('@midwayjs/bootstrap');

const manager = new ClusterManager({
  exec: join(__dirname, 'bootstrap.js'),
  count: Number(process.env.WORKERS ?? 4),
});
manager.start();
