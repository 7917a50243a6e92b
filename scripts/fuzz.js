// Feeds every decoder that reads what another process has sent or left in a file with bytes that libFuzzer makes up.
//   npm run fuzz
//   FUZZ_SECONDS=60 FUZZ_TARGETS=frames,states npm run fuzz
// FUZZ_SECONDS (600) for each target, FUZZ_PARALLEL (2) of them at once. Ends by itself, at the latest a minute after
// their time. Exit code 1 with any finding; what it was found with is then in fuzz/artifacts, and what has been learned is
// in fuzz/corpus for the next time. Needs cargo and a C++ compiler, and no nightly: the targets are built without
// sanitizers, because the decoders have no unsafe code; FUZZ_SANITIZER=address builds them with one.
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { root, work, run, must } = require('./shell');

const VERSION = '0.13.2';
const seconds = Number(process.env.FUZZ_SECONDS ?? 600);
const parallel = Number(process.env.FUZZ_PARALLEL ?? 2);
const sanitizer = process.env.FUZZ_SANITIZER ?? 'none';
const folder = path.join(root, 'fuzz');
const tools = path.join(work, 'cargo');
/** Seconds after its time at which a target is killed. */
const AT_THE_LATEST = 60;
/** libFuzzer's own bounds: an input may take 10 s, and a target 2 GiB. */
const BOUNDS = ['-timeout=10', '-rss_limit_mb=2048', '-max_len=4096'];

const env = {
  PATH: `${path.join(tools, 'bin')}${path.delimiter}${process.env.PATH}`,
  // Only to name a sanitizer takes more than a stable compiler allows.
  ...(sanitizer === 'none' ? {} : { RUSTC_BOOTSTRAP: '1' }),
};
const running = new Set();
/** For the files that targets read and write all the time: in memory, where there is such a place. */
const scratch = fs.mkdtempSync(path.join(fs.existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'fuzz-'));

/** The targets that are wanted, ready to run. */
function build() {
  if (run('cargo', ['fuzz', '--version'], { env }).code !== 0) {
    console.log(`Installing cargo-fuzz ${VERSION} into ${path.relative(root, tools)}`);
    must('cargo', ['install', 'cargo-fuzz', '--locked', '--version', VERSION, '--root', tools]);
  }
  const all = must('cargo', ['fuzz', 'list'], { env, cwd: folder }).stdout.trim().split('\n');
  const targets = process.env.FUZZ_TARGETS?.split(',') ?? all;
  const unknown = targets.filter(each => !all.includes(each));
  if (unknown.length > 0) {
    throw new Error(`FUZZ_TARGETS is a list of ${all.join(', ')}`);
  }
  console.log('Building the targets (cargo, release): some minutes the first time');
  must('cargo', ['fuzz', 'build', '--sanitizer', sanitizer], { env, cwd: folder });
  // Beside the package's own builds, which have most of what it needs.
  const shared = { CARGO_TARGET_DIR: path.join(root, 'target') };
  must('cargo', ['run', '--example', 'seeds', '--', 'corpus'], { env: shared, cwd: folder });
  return targets;
}

function host() {
  return /^host: (.+)$/m.exec(must('rustc', ['-vV']).stdout)[1];
}

/** Runs one target for its time, and says what came of it. */
function fuzz(target, binaries) {
  const [corpus, artifacts] = ['corpus', 'artifacts'].map(each => path.join(folder, each, target));
  for (const each of [corpus, artifacts]) {
    fs.mkdirSync(each, { recursive: true });
  }
  const prefix = `-artifact_prefix=${artifacts}${path.sep}`;
  const args = [...BOUNDS, prefix, `-max_total_time=${seconds}`, '-print_final_stats=1', corpus];
  const child = spawn(path.join(binaries, target), args, {
    cwd: folder,
    env: { ...process.env, TMPDIR: scratch },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  running.add(child);
  const watchdog = setTimeout(() => child.kill('SIGKILL'), (seconds + AT_THE_LATEST) * 1000);
  const began = performance.now();
  let said = '';
  child.stderr.setEncoding('utf8').on('data', text => {
    // What is at its end counts.
    said = (said + text).slice(-100_000);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(watchdog);
      running.delete(child);
      const executions = Number(/number_of_executed_units: *(\d+)/.exec(said)?.[1] ?? 0);
      const covered = Number([...said.matchAll(/ cov: (\d+)/g)].at(-1)?.[1] ?? 0);
      // Without an execution it has fuzzed nothing.
      const failed = code !== 0 || executions === 0;
      const took = (performance.now() - began) / 1000;
      resolve({
        target,
        executions,
        took,
        covered,
        failed,
        said: failed ? `${code ?? signal}\n${said.slice(-4000)}` : '',
      });
    });
  });
}

function report({ target, executions, took, covered, failed, said }) {
  const perSecond = Math.round(executions / took).toLocaleString('en');
  const counts = [executions.toLocaleString('en'), perSecond, String(covered), failed ? 'FINDING' : '0'];
  console.log(`${target.padEnd(16)}${counts.map((each, i) => each.padStart(i === 0 ? 14 : 12)).join('')}`);
  if (failed) {
    console.log(`${target} has ended with ${said}`);
  }
}

async function main() {
  const targets = build();
  const binaries = path.join(folder, 'target', host(), 'release');
  console.log(`${targets.length} targets, ${seconds} s each, ${parallel} at once`);
  const names = ['executions', 'a second', 'branches', 'findings'];
  console.log(`${'target'.padEnd(16)}${names.map((each, i) => each.padStart(i === 0 ? 14 : 12)).join('')}`);
  let failed = 0;
  const next = async () => {
    for (let target = targets.shift(); target; target = targets.shift()) {
      const result = await fuzz(target, binaries);
      report(result);
      failed += result.failed ? 1 : 0;
    }
  };
  await Promise.all(Array.from({ length: parallel }, next));
  console.log(failed === 0 ? 'No findings.' : `${failed} of the targets have found something: see fuzz/artifacts`);
  process.exitCode = failed === 0 ? 0 : 1;
}

process.on('exit', () => {
  for (const child of running) {
    child.kill('SIGKILL');
  }
  fs.rmSync(scratch, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => process.exit(1));
}
if (!(seconds > 0) || !(parallel > 0) || process.platform === 'win32') {
  console.log('FUZZ_SECONDS and FUZZ_PARALLEL are numbers above 0; Windows has no libFuzzer for Rust');
  process.exitCode = 1;
} else {
  main().catch(error => {
    console.log(error);
    process.exit(1);
  });
}
