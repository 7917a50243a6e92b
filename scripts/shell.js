// Runs commands for the other scripts. Plain Node: these scripts run before anything is installed.
const { spawnSync } = require('node:child_process');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const work = path.join(root, '.work');

/** Runs a command and gives back its exit code and what it printed. `echo` shows the output while it runs. */
function run(command, args, { cwd = root, env = {}, echo = false, input } = {}) {
  const done = spawnSync(command, args, {
    cwd,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    input,
    maxBuffer: 256 * 1024 * 1024,
    // npm and npx are .cmd files on Windows, which only a shell can start.
    shell: process.platform === 'win32',
    stdio: echo ? ['ignore', 'inherit', 'inherit'] : ['pipe', 'pipe', 'pipe'],
  });
  if (done.error) {
    throw new Error(`cannot run ${command}: ${done.error.message}`);
  }
  return { code: done.status ?? 1, stdout: done.stdout ?? '', stderr: done.stderr ?? '' };
}

/** Like `run`, but a failure is an error that shows what the command said. */
function must(command, args, options) {
  const done = run(command, args, options);
  if (done.code !== 0) {
    const said = [done.stdout, done.stderr].filter(Boolean).join('\n').slice(-4000);
    throw new Error(`${command} ${args.join(' ')} failed with exit code ${done.code}\n${said}`);
  }
  return done;
}

/** The path of a command that this package has installed. */
function bin(name) {
  return path.join(root, 'node_modules', '.bin', name);
}

module.exports = { root, work, run, must, bin };
