// node:cluster by hand, with an application in the cluster primary, on a port of its own: the one deployment where the
// 3.x package works.
const cluster = require('node:cluster');

if (cluster.isPrimary) {
  const { PORT, PRIMARY_PORT, WORKERS } = process.env;
  // It takes part in the group before there are others.
  require('@midwayjs/process-agent');
  for (let i = 0; i < Number(WORKERS); i++) {
    cluster.fork({ PORT });
  }
  process.env.PORT = PRIMARY_PORT;
}
require('./bootstrap');
