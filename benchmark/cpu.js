// The time on a processor of other processes, read from /proc: it wakes none of them.
const fs = require('node:fs');

const isReadable = fs.existsSync('/proc/self/schedstat');

/** Microseconds that all threads of these processes have run so far, NaN on systems that do not say. */
function cpuOf(pids) {
  if (pids.length > 0 && !isReadable) {
    return Number.NaN;
  }
  // Threads that have ended are not in it.
  return pids.reduce((total, pid) => total + threadsOf(pid).reduce((sum, thread) => sum + thread, 0), 0);
}

function threadsOf(pid) {
  return list(`/proc/${pid}/task`).map(thread => {
    // Nanoseconds on the processor, nanoseconds waiting for one, turns.
    const [running] = read(`/proc/${pid}/task/${thread}/schedstat`).split(' ');
    return Number(running) / 1000;
  });
}

/** The pids of a process and all its descendants. */
function treeOf(pid) {
  const children = list(`/proc/${pid}/task`).flatMap(thread =>
    read(`/proc/${pid}/task/${thread}/children`).split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(treeOf)];
}

/** Empty where the process has just ended, and on systems without /proc. */
function list(folder) {
  return attempt(() => fs.readdirSync(folder), []);
}

function read(file) {
  return attempt(() => fs.readFileSync(file, 'utf8').trim(), '');
}

function attempt(get, otherwise) {
  try {
    return get();
  } catch {
    return otherwise;
  }
}

module.exports = { cpuOf, treeOf };
