// Makes a clone ready: installs the packages and builds the binding and dist, each only when it is out of date.
const fs = require('node:fs');
const path = require('node:path');
const { root, run, must, bin } = require('./shell');

const bindingSources = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src'];
const distSources = ['ts', 'tsconfig.json', 'tsconfig.build.json', 'binding.d.ts'];

function setup({ log = console.log } = {}) {
  if (!packagesAreInstalled()) {
    installPackages(log);
  }
  if (newest(bindingSources) > oldest([bindingFile(), 'binding.js', 'binding.d.ts'])) {
    log('Building the binding (cargo, release): about a minute the first time');
    must('npm', ['run', 'build:binding']);
  }
  if (newest(distSources) > oldest(['dist/index.js'])) {
    log('Building dist (tsc)');
    fs.rmSync(path.join(root, 'dist'), { recursive: true, force: true });
    must(bin('tsc'), ['-p', 'tsconfig.build.json']);
  }
}

function installPackages(log) {
  log('Installing packages (npm ci)');
  if (run('npm', ['ci']).code !== 0) {
    // It refuses a lock file without the binaries of other platforms: npm drops them where a registry has none of them.
    // An ordinary install takes the same versions from the same file.
    log('npm ci has refused; npm install');
    must('npm', ['install', '--no-save']);
  }
}

/** Everything in package-lock.json that this platform needs is in node_modules, in that version. */
function packagesAreInstalled() {
  const installed = readJson('node_modules/.package-lock.json');
  if (!installed) {
    return false;
  }
  const wanted = readJson('package-lock.json').packages;
  return Object.entries(wanted).every(
    ([where, entry]) => where === '' || entry.optional || installed.packages[where]?.version === entry.version,
  );
}

/** This platform's binary, under the name that napi gives it. */
function bindingFile() {
  return `process-agent.${platform()}.node`;
}

/** The platform as napi names it, e.g. `linux-x64-gnu`. */
function platform() {
  const { platform, arch } = process;
  if (platform === 'linux') {
    const glibc = process.report.getReport().header.glibcVersionRuntime;
    return `linux-${arch}-${glibc ? 'gnu' : 'musl'}`;
  }
  return platform === 'win32' ? `win32-${arch}-msvc` : `${platform}-${arch}`;
}

/** The time of the latest change in any of these files and folders; a folder changes when a file goes away. */
function newest(names) {
  return Math.max(...names.map(name => timeOfChange(path.join(root, name))));
}

function timeOfChange(file) {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (!stat) {
    return 0;
  }
  const inside = stat.isDirectory() ? fs.readdirSync(file).map(name => timeOfChange(path.join(file, name))) : [];
  return Math.max(stat.mtimeMs, ...inside);
}

/** The time of the oldest of these outputs; a missing one is older than everything. */
function oldest(names) {
  return Math.min(...names.map(name => fs.statSync(path.join(root, name), { throwIfNoEntry: false })?.mtimeMs ?? -1));
}

function readJson(name) {
  const file = path.join(root, name);
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : undefined;
}

module.exports = { setup, platform, bindingFile };

if (require.main === module) {
  setup();
}
