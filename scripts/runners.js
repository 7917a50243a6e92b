// Makes the project with the test runners, in which the test files of __test__/app/runners are run.
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { pack } = require('./pack');
const { project } = require('./projects');
const { root } = require('./shell');

/** Of the runners' newest versions together. */
const OLDEST_NODE = 20;

/** The project's folder, or `missing`: why there is none. `bun` is missing where its binary can't be had. */
function runners() {
  const node = Number(process.versions.node.split('.')[0]);
  if (node < OLDEST_NODE) {
    return { missing: `the test runners need Node ${OLDEST_NODE}, and this is ${process.version}` };
  }
  let folder;
  try {
    folder = project('runners', { tarballs: pack() });
  } catch (error) {
    return { missing: `they can't be installed: ${error.message.split('\n')[0]}` };
  }
  const cases = path.join(folder, 'cases');
  fs.rmSync(cases, { recursive: true, force: true });
  fs.cpSync(path.join(root, '__test__', 'app', 'runners'), cases, { recursive: true });
  return { folder: cases, bun: bun(folder) };
}

/** npm may be set up to run no scripts of packages; this one puts the binary of this platform into place. */
function bun(folder) {
  const home = path.join(folder, 'node_modules', 'bun');
  const binary = path.join(home, 'bin', 'bun.exe');
  const works = () => spawnSync(binary, ['--version']).status === 0;
  if (!works()) {
    spawnSync(process.execPath, [path.join(home, 'install.js')], { cwd: home });
  }
  return works() ? binary : undefined;
}

module.exports = { runners };

if (require.main === module) {
  console.log(runners());
}
