// node:cluster by hand. With APP_IN_PRIMARY the cluster primary boots the application too, on a port of its own; like
// any application that imports its decorated classes at the top, it has loaded the package before it forks.
const cluster = require('node:cluster');

if (cluster.isPrimary) {
  // Kept, because the cluster primary's own application changes PORT.
  const port = process.env.PORT;
  const fork = () => {
    // Midway's koa framework puts the port that it listens on here, and prefers it to what is configured.
    delete process.env.MIDWAY_HTTP_PORT;
    return cluster.fork({ PORT: port });
  };
  if (process.env.APP_IN_PRIMARY) {
    require('@midwayjs/process-agent');
  }
  for (let i = 0; i < Number(process.env.WORKERS); i++) {
    fork();
  }
  // A worker that dies is replaced, as every supervisor does; one that could not even start ends the run.
  const started = new Set();
  cluster.on('listening', worker => started.add(worker.id));
  cluster.on('exit', worker => (started.has(worker.id) ? fork() : process.exit(1)));
  if (process.env.APP_IN_PRIMARY) {
    process.env.PORT = process.env.PRIMARY_PORT;
    require('./bootstrap');
  }
} else {
  require('./bootstrap');
}
