const cluster = require('node:cluster');
const { stay, take } = require('./probe');

take(`${process.env.SNAPSHOT}-worker-${cluster.worker.id}`);
stay();
