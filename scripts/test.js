// All checks and tests, from a fresh clone. The last line is "N passed, N failed, N skipped": cargo's and jest's tests
// together. Skipped is what this machine can't test or check, and says so above.
const fs = require('node:fs');
const path = require('node:path');
const { root, work, run, must, bin } = require('./shell');
const { check, ONE_OF_EACH } = require('./platforms');
const { setup } = require('./setup');

const generated = ['binding.js', 'binding.d.ts'];
// Read before anything is built: building writes them anew.
const committed = generated.map(read);
const cargoTotal = { passed: 0, failed: 0 };
const broken = [];
let unchecked = 0;

setup();
checks();
otherPlatforms();
cargoTests();
bindingDrift();
const jestTotal = jestTests();

if (broken.length > 0) {
  console.log(`\nNot clean: ${broken.join(', ')}`);
}
const [passed, failed] = ['passed', 'failed'].map(each => cargoTotal[each] + jestTotal[each]);
console.log(`\n${passed} passed, ${failed} failed, ${unchecked + jestTotal.skipped} skipped`);
process.exitCode = broken.length > 0 ? 1 : 0;

function checks() {
  section('biome', bin('biome'), ['check', '--error-on-warnings']);
  section('tsc', bin('tsc'), ['-p', 'tsconfig.json']);
  section('tsc (tests)', bin('tsc'), ['-p', '__test__']);
  section('cargo fmt', 'cargo', ['fmt', '--check']);
  section('cargo clippy', 'cargo', ['clippy', '--all-targets', '--', '-D', 'warnings']);
}

/** What does not compile elsewhere, or is dead there, is found here. */
function otherPlatforms() {
  const { missing, results = [] } = check(ONE_OF_EACH, console.log);
  for (const { target, clean, said } of results) {
    report(`cargo clippy (${target})`, clean, said);
  }
  if (missing) {
    unchecked = ONE_OF_EACH.length;
    console.log(`skipped cargo clippy (${ONE_OF_EACH.join(', ')}): ${missing}`);
  }
}

function cargoTests() {
  const loom = path.join('loom', 'Cargo.toml');
  for (const [name, args] of [
    ['cargo test', []],
    ['cargo test (models)', ['--manifest-path', loom]],
  ]) {
    const { stdout } = section(name, 'cargo', ['test', '--no-fail-fast', ...args]);
    for (const [, passed, failed] of stdout.matchAll(/^test result: .*? (\d+) passed; (\d+) failed;/gm)) {
      cargoTotal.passed += Number(passed);
      cargoTotal.failed += Number(failed);
    }
  }
}

/** The generated files that are committed are those that the sources generate. */
function bindingDrift() {
  const times = generated.map(file => fs.statSync(path.join(root, file)));
  try {
    must('npm', ['run', 'build:binding']);
    const drifted = generated.filter((file, i) => read(file) !== committed[i]);
    report('generated binding', drifted.length === 0, `run "npm run build:binding" and commit ${drifted.join(', ')}`);
    if (drifted.length === 0) {
      // Written anew but the same: what was built from them is not out of date.
      generated.forEach((file, i) => {
        fs.utimesSync(path.join(root, file), times[i].atime, times[i].mtime);
      });
    }
  } catch (error) {
    report('generated binding', false, error.message);
  }
}

function jestTests() {
  const results = path.join(work, 'jest.json');
  fs.rmSync(results, { force: true });
  console.log('\njest');
  const jest = path.join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const done = run(process.execPath, [jest, '--json', `--outputFile=${results}`], { echo: true });
  if (done.code !== 0) {
    broken.push('jest');
  }
  if (!fs.existsSync(results)) {
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const { numPassedTests, numFailedTests, numPendingTests, numRuntimeErrorTestSuites } = JSON.parse(
    fs.readFileSync(results, 'utf8'),
  );
  // A file that could not be run at all counts as one failure: its tests are not known.
  return {
    passed: numPassedTests,
    failed: numFailedTests + numRuntimeErrorTestSuites,
    skipped: numPendingTests,
  };
}

function section(name, command, args) {
  const done = run(command, args);
  report(name, done.code === 0, `${done.stdout}\n${done.stderr}`);
  return done;
}

function report(name, clean, said) {
  console.log(`${clean ? 'ok    ' : 'FAILED'} ${name}`);
  if (!clean) {
    broken.push(name);
    console.log(said.trim());
  }
}

function read(file) {
  const full = path.join(root, file);
  return fs.existsSync(full) ? fs.readFileSync(full, 'utf8') : '';
}
