// Finds Prometheus and promtool for the test that needs them: those that are installed, or those of Debian's package,
// which is not installed, because an installed one starts a server.
const fs = require('node:fs');
const path = require('node:path');
const { unpackPackages } = require('./debian');
const { work } = require('./shell');
const { lock } = require('./lock');

const home = path.join(work, 'prometheus');
const PROGRAMS = ['prometheus', 'promtool'];

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
  const tree = path.join(work, 'prometheus-tree');
  try {
    const failure = unpackPackages(['prometheus'], tree);
    const folder = path.join(tree, 'usr', 'bin');
    if (!failure && programsIn([folder])) {
      fs.rmSync(home, { recursive: true, force: true });
      fs.renameSync(folder, home);
    }
    return failure && `it is not installed, and ${failure}`;
  } finally {
    fs.rmSync(tree, { recursive: true, force: true });
  }
}

module.exports = { prometheus };

if (require.main === module) {
  console.log(prometheus());
}
