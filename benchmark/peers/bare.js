// Not a way to call, but what none can be faster than while both ends sleep: two processes of Rust (benches/bare.rs) that
// read and write a socket, and do nothing else.
const { spawnSync } = require('node:child_process');
const { firstCore } = require('../cores');
const { must } = require('../../scripts/shell');

let program;

module.exports = {
  name: 'read and write in Rust, asleep',
  isLimit: true,
  only: ['latency', 'oneCore'],

  install() {
    if (process.platform === 'win32') {
      throw new Error('it needs a socket pair');
    }
    const built = must('cargo', [
      'bench',
      '--no-run',
      '--bench',
      'bare',
      '--message-format',
      'json-render-diagnostics',
    ]);
    const messages = built.stdout.trim().split('\n').map(JSON.parse);
    program = messages.find(({ executable, target }) => executable && target.name === 'bare').executable;
  },

  /** In place of processes of Node: two that live as long as one measurement. */
  start() {
    return { isAlive: true, pids: [], workers: 0, measure, stop() {} };
  },
};

async function measure({ oneCore }, { duration }) {
  const command = [program, String(duration)];
  const [file, ...args] = oneCore ? ['taskset', '-c', firstCore(), ...command] : command;
  const { error, status, stdout } = spawnSync(file, args, { encoding: 'utf8', timeout: duration + 15_000 });
  if (error || status !== 0) {
    throw error ?? new Error(`it has ended with code ${status}`);
  }
  return { workers: [JSON.parse(stdout)] };
}
