// Which cores processes may run on (Linux; taskset is in util-linux).
const fs = require('node:fs');
const { must } = require('../scripts/shell');

/** Puts all threads of these processes on one core; gives back the function that lets them go. */
function shareOneCore(pids) {
  const [, allowed] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(fs.readFileSync('/proc/self/status', 'utf8'));
  const put = cores => {
    for (const pid of pids) {
      must('taskset', ['-a', '-c', '-p', cores, String(pid)]);
    }
  };
  put(/^\d+/.exec(allowed)[0]);
  return () => put(allowed);
}

module.exports = { shareOneCore };
