// What one machine can say about the other platforms.
//   node scripts/platforms.js check                              clippy, as for this platform, for all that are published
//   node scripts/platforms.js check aarch64-apple-darwin         for these alone
// Nothing is linked and nothing runs: it finds what does not compile there, and what is dead code there. The standard
// libraries are those that rustup has installed, or else they are built from Debian's source, with Debian's compiler, which
// is unpacked under .work (Linux on x64). The first time takes some minutes, and then each target some seconds.
const fs = require('node:fs');
const path = require('node:path');
const { unpackPackages } = require('./debian');
const { lock } = require('./lock');
const { root, work, run } = require('./shell');

const TARGETS = [
  'x86_64-pc-windows-msvc',
  'aarch64-apple-darwin',
  'aarch64-unknown-linux-musl',
  'aarch64-unknown-linux-gnu',
  'x86_64-unknown-linux-musl',
];
/** Each system, the other processor and the other C library: what `npm test` has time for. */
const ONE_OF_EACH = TARGETS.slice(0, 3);

/** Debian's security archive has a current compiler, because browsers are built with it. */
const PACKAGES = ['rustc-web', 'rust-web-src', 'rust-web-clippy'];
/** What of their dependencies is no part of every Debian. Their names have versions in them. */
const PARTS = /^(libstd-rust-web|libllvm)/;
const home = path.join(work, 'rust');

/** Runs clippy for each target. `results` are `{ target, clean, said }`; or `missing` says why it can't be run here. */
function check(targets = TARGETS, log = () => {}) {
  const toolchain = installed(targets) ?? debian(log);
  if (toolchain.missing) {
    return toolchain;
  }
  const results = targets.map(target => {
    const args = [...toolchain.args, '--target', target, ...(toolchain.lints ?? [])];
    const env = { ...toolchain.env, CARGO_TARGET_DIR: path.join(root, 'target', toolchain.name) };
    const { code, stdout, stderr } = run('cargo', args, { env });
    return { target, clean: code === 0, said: `${stdout}\n${stderr}` };
  });
  return { results };
}

/** What rustup has, if it has the standard library of all of them. */
function installed(targets) {
  let known = [];
  try {
    known = run('rustup', ['target', 'list', '--installed']).stdout.split('\n');
  } catch {
    // There is no rustup.
  }
  if (targets.some(target => !known.includes(target))) {
    return undefined;
  }
  return { name: 'platforms', args: ['clippy', '--all-targets'], lints: ['--', '-D', 'warnings'] };
}

/** Debian's compiler, and its source of the standard library. */
function debian(log) {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return { missing: 'rustup has not installed their standard libraries, and this is not Linux on x64' };
  }
  fs.mkdirSync(work, { recursive: true });
  const release = lock(path.join(work, 'rust.lock'));
  try {
    if (!fs.existsSync(home)) {
      log('Unpacking a Rust compiler of Debian for other platforms (150 MB, once)');
      const failure = unpack();
      if (failure) {
        return { missing: `rustup has not installed their standard libraries, and ${failure}` };
      }
    }
  } finally {
    release();
  }
  return {
    name: 'platforms-debian',
    args: ['check', '--all-targets', '--keep-going', '-Zbuild-std=std,panic_unwind,test'],
    env: {
      RUSTC: path.join(home, 'rustc'),
      RUSTC_WORKSPACE_WRAPPER: path.join(home, 'clippy-driver'),
      // To build a standard library takes more than a stable compiler allows.
      RUSTC_BOOTSTRAP: '1',
      // As cargo clippy hands them over.
      CLIPPY_ARGS: '-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__',
    },
  };
}

/** Says why it has failed, if so. */
function unpack() {
  const tree = `${home}-tree`;
  try {
    const failure = unpackPackages(PACKAGES, tree, PARTS) ?? prepare(tree);
    if (!failure) {
      fs.rmSync(home, { recursive: true, force: true });
      fs.renameSync(tree, home);
    }
    return failure;
  } finally {
    fs.rmSync(tree, { recursive: true, force: true });
  }
}

/** Leaves of the sources what is built, and writes the commands by which cargo finds what lies in no usual place. */
function prepare(tree) {
  const source = fs.realpathSync(path.join(tree, 'usr', 'lib', 'rustlib', 'src', 'rust'));
  for (const name of fs.readdirSync(source).filter(each => each !== 'library')) {
    fs.rmSync(path.join(source, name), { recursive: true, force: true });
  }
  for (const name of ['rustc', 'clippy-driver']) {
    const [sysroot, libraries, program] = ['', 'lib/x86_64-linux-gnu', `bin/${name}`].map(
      each => `"$here/usr/${each}"`,
    );
    // clippy is told by an environment variable what cargo's compiler is told by an argument.
    const lines = [
      '#!/bin/sh',
      'here=$(dirname "$0")',
      `export SYSROOT=${sysroot} LD_LIBRARY_PATH=${libraries}`,
      `exec ${program} ${name === 'rustc' ? `--sysroot ${sysroot} ` : ''}"$@"`,
    ];
    fs.writeFileSync(path.join(tree, name), `${lines.join('\n')}\n`, { mode: 0o755 });
    const { code, stdout, stderr } = run(path.join(tree, name), ['--version']);
    if (code !== 0) {
      return `Debian's ${name} does not run here: ${stderr.trim()}`;
    }
    if (minor(stdout) < minor(fs.readFileSync(path.join(root, 'Cargo.toml'), 'utf8'))) {
      return `Debian has ${stdout.trim()}, which is too old`;
    }
  }
  return undefined;
}

/** Of the first version in a text that Rust has: 96 in 1.96.0, and in what clippy says of itself, 0.1.96. */
function minor(text) {
  return Number(/\b1\.(\d{2,})/.exec(text)?.[1]);
}

module.exports = { check, ONE_OF_EACH };

if (require.main === module) {
  const [command, ...targets] = process.argv.slice(2);
  const unknown = targets.filter(each => !TARGETS.includes(each));
  if (command !== 'check' || unknown.length > 0) {
    console.log(`node scripts/platforms.js check [targets]; targets are ${TARGETS.join(', ')}`);
    process.exitCode = 1;
  } else {
    const { missing, results = [] } = check(targets.length > 0 ? targets : TARGETS, console.log);
    if (missing) {
      console.log(`Nothing was checked: ${missing}`);
    }
    for (const { target, clean, said } of results) {
      console.log(clean ? `ok     ${target}` : `FAILED ${target}\n${said.trim()}`);
    }
    process.exitCode = !missing && results.every(each => each.clean) ? 0 : 1;
  }
}
