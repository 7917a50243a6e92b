const path = require('node:path');
const { ClusterManager } = require(path.join(__dirname, '..', process.env.MIDWAY, 'node_modules/@midwayjs/bootstrap'));

const instance = process.env.pm_id === undefined ? '' : `-${process.env.NODE_APP_INSTANCE}`;
new ClusterManager({
  exec: path.join(__dirname, 'midway-worker.js'),
  count: 2,
  env: { SNAPSHOT: process.env.SNAPSHOT + instance },
}).start();
