const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { freePort } = require('./requests');

/** The application under Midway's ClusterManager. */
async function startManager(folder, workers) {
  const port = await freePort();
  const env = { ...process.env, NODE_ENV: 'production', HOME: folder, PORT: String(port), WORKERS: String(workers) };
  const child = spawn(process.execPath, ['manager.js'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', piece => {
      output += piece;
    });
  }
  return {
    manager: "Midway's ClusterManager",
    stopping: pid => `The primary stops: kill ${pid}`,
    stopPrimary: pid => process.kill(pid, 'SIGTERM'),
    port,
    output: () => output,
    hasEnded: () => child.exitCode !== null || child.signalCode !== null,
    async stop() {
      child.kill('SIGTERM');
      // Workers end by themselves when their manager is gone.
      const timer = setTimeout(() => child.kill('SIGKILL'), 20_000);
      await exited;
      clearTimeout(timer);
    },
  };
}

module.exports = { startManager };
