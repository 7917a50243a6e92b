// A whole application in processes of its own, and requests to it.
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { setTimeout: delay } = require('node:timers/promises');
const { treeOf } = require('./cpu');
const { freePort } = require('./start-group');

const WORKERS = 4;
const START_MS = 60_000;
const STOP_MS = 20_000;

class Deployment {
  constructor(child, port) {
    this.child = child;
    this.port = port;
  }

  url(route) {
    return `http://127.0.0.1:${this.port}/${route}`;
  }

  get pids() {
    return treeOf(this.child.pid);
  }

  async stop() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) {
      return;
    }
    const exited = once(this.child, 'exit');
    const { pids } = this;
    this.child.kill('SIGTERM');
    // Workers end by themselves when their manager is gone, unless they hang.
    const timer = setTimeout(() => pids.forEach(killIfAlive), STOP_MS);
    await exited;
    clearTimeout(timer);
  }

  /** Until every worker has answered, and all of them say that their calls run in one process. */
  async start() {
    const deadline = Date.now() + START_MS;
    const workers = new Set();
    const primaries = new Set();
    while (workers.size < WORKERS) {
      if (Date.now() > deadline || this.child.exitCode !== null) {
        throw new Error(`only ${workers.size} of ${WORKERS} workers have started`);
      }
      try {
        const { worker, primary } = JSON.parse(await get(this.url('pids')));
        workers.add(worker);
        primaries.add(primary);
      } catch {
        await delay(100);
      }
    }
    if (primaries.size !== 1) {
      throw new Error(`calls were executed by ${primaries.size} processes`);
    }
    return this;
  }
}

/** Starts `script` of the project in `folder`, with what it writes in `home`. */
async function deploy(folder, script, home, env) {
  fs.mkdirSync(home, { recursive: true });
  const port = await freePort();
  const log = fs.openSync(path.join(home, 'output.log'), 'a');
  const child = spawn(process.execPath, [script], {
    cwd: folder,
    env: {
      ...process.env,
      NODE_ENV: 'production',
      TMPDIR: home,
      HOME: home,
      PORT: String(port),
      PRIMARY_PORT: String(await freePort()),
      WORKERS: String(WORKERS),
      ...env,
    },
    stdio: ['ignore', log, log],
  });
  const deployment = new Deployment(child, port);
  try {
    return await deployment.start();
  } catch (error) {
    await deployment.stop();
    throw error;
  }
}

/** On a connection of its own, so that another worker gets the next one. */
function get(url) {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { agent: false, timeout: 5_000 }, response => {
      let body = '';
      response.setEncoding('utf8').on('data', piece => {
        body += piece;
      });
      response.on('end', () => (response.statusCode === 200 ? resolve(body) : reject(new Error(body.slice(0, 200)))));
    });
    request.on('timeout', () => request.destroy(new Error('no answer within 5 s')));
    request.on('error', reject);
  });
}

function killIfAlive(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

module.exports = { deploy, get };
