// Programs of Debian's packages, unpacked and not installed: nothing of the system changes, and nobody has to be root.
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { work } = require('./shell');

/** ms for one command: a machine without a network must not hold the tests up for long. */
const PATIENCE = 120_000;
/** apt's own state: lists of packages that may be younger than the system's. */
const state = path.join(work, 'apt');
const options = [
  ['Dir::State::lists', path.join(state, 'lists')],
  ['Dir::Cache', path.join(state, 'cache')],
  // apt drops its rights to download, and could not write into a folder of ours.
  ['APT::Sandbox::User', 'root'],
  ['Acquire::Retries', '1'],
  ['Acquire::http::Timeout', '20'],
].flatMap(([name, value]) => ['-o', `${name}=${value}`]);

/**
 * Puts what is in the packages into `folder`, and what they depend on, where `parts` matches its name. Says why it has
 * failed, if so; then `folder` is as it was.
 */
function unpackPackages(names, folder, parts = /^$/) {
  const temporary = `${folder}-temporary`;
  const [debs, tree] = ['debs', 'tree'].map(each => path.join(temporary, each));
  fs.rmSync(temporary, { recursive: true, force: true });
  try {
    for (const each of [
      debs,
      tree,
      path.join(state, 'lists', 'partial'),
      path.join(state, 'cache', 'archives', 'partial'),
    ]) {
      fs.mkdirSync(each, { recursive: true });
    }
    let failure = run('apt-get', [...options, 'update', '-q'], debs).failure;
    const wanted = [...names];
    const known = new Set(names);
    while (!failure && wanted.length > 0) {
      failure = run('apt-get', [...options, 'download', '-q', ...wanted.splice(0)], debs).failure;
      for (const each of failure ? [] : fs.readdirSync(debs).flatMap(deb => dependencies(path.join(debs, deb)))) {
        if (parts.test(each) && !known.has(each)) {
          known.add(each);
          wanted.push(each);
        }
      }
    }
    for (const deb of failure ? [] : fs.readdirSync(debs)) {
      failure ??= run('dpkg-deb', ['-x', path.join(debs, deb), tree], debs).failure;
    }
    if (!failure) {
      fs.rmSync(folder, { recursive: true, force: true });
      fs.renameSync(tree, folder);
    }
    return failure;
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}

function dependencies(deb) {
  const { stdout } = run('dpkg-deb', ['-f', deb, 'Depends'], work);
  return stdout.split(',').map(each => each.trim().split(' ', 1)[0]);
}

function run(command, args, cwd) {
  const done = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: PATIENCE });
  const stdout = done.stdout ?? '';
  if (done.error || done.status !== 0) {
    const said = done.error?.message ?? done.stderr.trim().split('\n').at(-1);
    const what = args.find(each => !options.includes(each));
    return { stdout, failure: `${command} ${what} has failed: ${said}` };
  }
  return { stdout };
}

module.exports = { unpackPackages };
