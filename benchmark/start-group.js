// Starts the processes of one peer (group.js), and asks them to measure.
const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');

const START_MS = 60_000;
const STOP_MS = 5_000;

class Group {
  constructor(child, log) {
    this.child = child;
    this.log = log;
    /** The primary's first, the workers' last. */
    this.pids = [];
    this.workers = 0;
  }

  /** One answer. The group's process says what failed, or nothing within the time. */
  async ask(order, patience) {
    const waiting = new AbortController();
    const timer = setTimeout(() => waiting.abort(new Error(`no answer within ${patience / 1000} s`)), patience);
    try {
      if (order) {
        this.child.send(order);
      }
      const { signal } = waiting;
      const answer = await Promise.race([
        once(this.child, 'message', { signal }).then(([message]) => message),
        // Not its exit, which may be seen before the last thing that it has said.
        once(this.child, 'disconnect', { signal }).then(() => ({ failed: this.lastWords() })),
      ]);
      if (answer.failed) {
        throw new Error(answer.failed);
      }
      return answer.result;
    } catch (error) {
      // Whoever does not answer is busy with something, which must not meet the others.
      await this.stop();
      throw error.name === 'AbortError' ? error.cause : error;
    } finally {
      clearTimeout(timer);
      waiting.abort();
    }
  }

  /** Of processes that have ended without saying why. */
  lastWords() {
    const errors = fs.readFileSync(this.log, 'utf8').match(/^\w*Error: .*/gm);
    return errors ? `its processes have ended: ${errors.pop()}` : 'its processes have ended';
  }

  measure(workload, settings) {
    return this.ask({ workload: { ...workload, ...settings } }, settings.duration + 15_000);
  }

  get isAlive() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** It ends by itself when nobody is connected to it any more, and takes along what it has started. */
  async stop() {
    if (!this.isAlive) {
      return;
    }
    const ended = once(this.child, 'exit');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS);
    if (this.child.connected) {
      this.child.disconnect();
    }
    await ended;
    clearTimeout(timer);
  }
}

/** `temporary`: a folder for everything that the group writes. Throws when the peer does not start. */
async function startGroup(peer, folder, temporary, env = {}) {
  const home = path.join(temporary, peer.id);
  fs.mkdirSync(home, { recursive: true });
  const log = path.join(home, 'stderr.log');
  const child = fork(path.join(__dirname, 'group.js'), [peer.id], {
    cwd: folder,
    // Sockets are in the temporary folder, the old package's at one fixed path; Midway logs under HOME.
    env: {
      ...process.env,
      NODE_ENV: 'production',
      TMPDIR: home,
      HOME: home,
      BENCHMARK_PORT: String(await freePort()),
      ...peer.env,
      ...env,
    },
    stdio: ['ignore', 'ignore', fs.openSync(log, 'w'), 'ipc'],
  });
  const group = new Group(child, log);
  return Object.assign(group, await group.ask(undefined, START_MS));
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

module.exports = { startGroup, freePort };
