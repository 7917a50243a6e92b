// Finds Prometheus and promtool for the test that needs them: those that are installed, or those of Debian's package,
// which is not installed, because an installed one starts a server.
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { work } = require('./shell');
const { lock } = require('./lock');

const home = path.join(work, 'prometheus');
const PROGRAMS = ['prometheus', 'promtool'];
/** ms for one command: a machine without a network must not hold the tests up for long. */
const PATIENCE = 60_000;

/** Paths by name, or `missing`: why there are none. */
function prometheus() {
  return programsIn(['/usr/bin', '/usr/local/bin', ...(process.env.PATH ?? '').split(path.delimiter)]) ?? unpacked();
}

function programsIn(folders) {
  const folder = folders.find(each => PROGRAMS.every(name => fs.existsSync(path.join(each, name))));
  return folder && Object.fromEntries(PROGRAMS.map(name => [name, path.join(folder, name)]));
}

function unpacked() {
  fs.mkdirSync(work, { recursive: true });
  const release = lock(path.join(work, 'prometheus.lock'));
  try {
    const missing = programsIn([home]) ? undefined : unpack();
    return programsIn([home]) ?? { missing: missing ?? "Debian's package has no prometheus or no promtool" };
  } finally {
    release();
  }
}

/** Says why it has failed, if so. */
function unpack() {
  const parts = path.join(work, 'prometheus-parts');
  fs.rmSync(parts, { recursive: true, force: true });
  fs.mkdirSync(parts, { recursive: true });
  try {
    const download = () => run('apt-get', ['download', '-q', 'prometheus'], parts);
    let failure = download();
    // There may be no list of packages yet, or an old one, which only root may bring up to date.
    if (failure && process.getuid?.() === 0 && !run('apt-get', ['update', '-q'], parts)) {
      failure = download();
    }
    if (failure) {
      return `it is not installed, and ${failure}`;
    }
    const [name] = fs.readdirSync(parts).filter(each => each.endsWith('.deb'));
    failure = run('dpkg-deb', ['-x', name, parts], parts);
    const folder = path.join(parts, 'usr', 'bin');
    if (!failure && programsIn([folder])) {
      fs.rmSync(home, { recursive: true, force: true });
      fs.renameSync(folder, home);
    }
    return failure;
  } finally {
    fs.rmSync(parts, { recursive: true, force: true });
  }
}

function run(command, args, cwd) {
  const done = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: PATIENCE });
  if (done.error || done.status !== 0) {
    const said = done.error?.message ?? done.stderr.trim().split('\n').at(-1);
    return `${command} ${args[0]} has failed: ${said}`;
  }
  return undefined;
}

module.exports = { prometheus };

if (require.main === module) {
  console.log(prometheus());
}
