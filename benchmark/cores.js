// Which cores processes may run on (Linux; taskset is in util-linux).
const fs = require('node:fs');
const { must } = require('../scripts/shell');

/** The cores that this process may run on: 0-3, or 2,4. */
function allowedCores() {
  return /^Cpus_allowed_list:\s*(\S+)$/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1];
}

function firstCore() {
  return /^\d+/.exec(allowedCores())[0];
}

/** Puts all threads of these processes on one core; gives back the function that lets them go. */
function shareOneCore(pids) {
  const allowed = allowedCores();
  const put = cores => {
    for (const pid of pids) {
      must('taskset', ['-a', '-c', '-p', cores, String(pid)]);
    }
  };
  put(firstCore());
  return () => put(allowed);
}

module.exports = { shareOneCore, firstCore };
