// One at a time: two runs in one clone (a test run and the demo) must not make the same project at once.
const fs = require('node:fs');

const patience = 10 * 60_000;

/** Takes the lock file, waiting for its holder unless that has died; gives back the function that lets go. */
function lock(file) {
  const deadline = performance.now() + patience;
  while (!take(file)) {
    if (performance.now() > deadline) {
      throw new Error(`${file} has been held for ${patience / 60_000} minutes; delete it if nothing else is running`);
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  }
  return () => fs.rmSync(file, { force: true });
}

function take(file) {
  try {
    fs.writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') {
      throw error;
    }
    if (!holderIsAlive(file)) {
      fs.rmSync(file, { force: true });
    }
    return false;
  }
}

function holderIsAlive(file) {
  try {
    const pid = Number(fs.readFileSync(file, 'utf8'));
    // An empty file has just been made: its pid is about to be written.
    return pid === 0 || process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

module.exports = { lock };
