// A redis-server of the benchmark's own: the one that is installed, or Debian's, unpacked into .work.
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout: delay } = require('node:timers/promises');
const { run, work } = require('../scripts/shell');

const home = path.join(work, 'redis');
const program = path.join(home, 'usr', 'bin', 'redis-server');
// redis-server is a link to a program of redis-tools; the libraries are those that Debian does not always have.
const packages = ['redis-server', 'redis-tools', 'libjemalloc2', 'liblzf1', 'libatomic1'];

/** Makes sure that there is one, or throws and says why there is none. */
function installRedis() {
  if (isInstalled() || fs.existsSync(program)) {
    return;
  }
  const folder = path.join(home, 'packages');
  fs.rmSync(home, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  const download = () => attempt('apt-get', ['download', ...packages], folder);
  let failure = download();
  if (failure) {
    // The lists may be old. Who may not renew them has to do with what there is.
    attempt('apt-get', ['update'], folder);
    failure = download();
  }
  for (const file of failure ? [] : fs.readdirSync(folder)) {
    failure ||= attempt('dpkg-deb', ['-x', file, home], folder);
  }
  // Links in there lead to packages that are not here, which linters do not like to find.
  for (const place of ['etc', 'lib', 'usr/share', 'var']) {
    fs.rmSync(path.join(home, place), { recursive: true, force: true });
  }
  if (failure) {
    throw new Error(`no redis-server is installed, and Debian's package does not come: ${failure}`);
  }
}

function isInstalled() {
  return !attempt('redis-server', ['--version'], process.cwd());
}

/** The last thing that a command said, if it has failed. */
function attempt(command, args, cwd) {
  try {
    const { code, stderr } = run(command, args, { cwd });
    return code === 0 ? undefined : (stderr.trim().split('\n').pop() ?? '') || `${command} failed`;
  } catch (error) {
    return error.message;
  }
}

/** Starts one that listens on this unix socket only and keeps nothing; it ends when this process does. */
async function startRedis(socket) {
  const isOurs = !isInstalled();
  const libraries = ['x86_64', 'aarch64'].map(cpu => path.join(home, 'usr', 'lib', `${cpu}-linux-gnu`)).join(':');
  const env = isOurs ? { ...process.env, LD_LIBRARY_PATH: libraries } : process.env;
  const args = [
    '--port',
    '0',
    '--unixsocket',
    socket,
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    path.dirname(socket),
  ];
  const server = spawn(isOurs ? program : 'redis-server', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  const stop = () => server.kill('SIGKILL');
  process.once('exit', stop);
  let failure;
  server.once('error', error => {
    failure = error.message;
  });
  server.once('exit', code => {
    failure ??= `redis-server has ended with code ${code}`;
  });
  for (let attempts = 0; !fs.existsSync(socket); attempts++) {
    if (failure || attempts > 200) {
      throw new Error(failure ?? 'redis-server does not listen');
    }
    await delay(20);
  }
  return { pid: server.pid, stop };
}

module.exports = { installRedis, startRedis };
