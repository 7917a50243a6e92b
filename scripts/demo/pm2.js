const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { must } = require('../shell');
const { freePort } = require('./requests');

/** The application under pm2 in cluster mode. Its daemon lives in a temporary PM2_HOME. */
async function startPm2(folder, tools, workers) {
  const port = await freePort();
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'demo-pm2-'));
  const bin = path.join(tools, 'node_modules', 'pm2', 'bin', 'pm2');
  const env = { PM2_HOME: home, HOME: folder, NODE_ENV: 'production', PORT: String(port) };
  const pm2 = (...args) => must(process.execPath, [bin, ...args], { cwd: folder, env });
  const logs = path.join(home, 'logs');
  const app = {
    manager: 'pm2, in cluster mode',
    stopping: () => 'All processes are replaced: pm2 reload',
    stopPrimary: () => pm2('reload', 'midway-app'),
    port,
    hasEnded: () => false,
    output: () =>
      fs.existsSync(logs)
        ? fs
            .readdirSync(logs)
            .map(name => fs.readFileSync(path.join(logs, name), 'utf8'))
            .join('')
        : '',
    async stop() {
      pm2('kill');
      fs.rmSync(home, { recursive: true, force: true });
    },
  };
  try {
    pm2('start', 'ecosystem.config.json', '--instances', String(workers));
  } catch (error) {
    await app.stop();
    throw error;
  }
  return app;
}

module.exports = { startPm2 };
