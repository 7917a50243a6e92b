// This package beside its peers: the same calls, in rounds that take turns, so that whatever else the machine does
// meets all of them. Prints medians and ratios and writes RESULTS.md.
//   npm run bench [-- --rounds=5 --duration=1200]
const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { pack } = require('../scripts/pack');
const { project } = require('../scripts/projects');
const { setup } = require('../scripts/setup');
const { bin, must } = require('../scripts/shell');
const { report } = require('./report');

const peers = ['agent', 'send', 'old'];
const rounds = option('rounds', 5);
const duration = option('duration', 1_200);
const loads = { latency: { concurrency: 1, duration }, throughput: { concurrency: 64, duration } };

async function main() {
  setup();
  const tarballs = pack();
  const folders = { benchmark: project('benchmark', { tarballs }), old: project('old') };
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-'));
  const groups = [];
  try {
    for (const peer of peers) {
      const description = require(`./peers/${peer}`);
      groups.push(await startGroup(peer, description, folders[description.project], temporary));
    }
    // The first round only warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const group of groups) {
        const result = {
          latency: await ask(group.child, loads.latency),
          throughput: await ask(group.child, loads.throughput),
        };
        if (round > 0) {
          group.results.push(result);
        }
      }
      console.log(round === 0 ? 'warmed up' : `round ${round} of ${rounds}`);
    }
  } finally {
    for (const { child } of groups) {
      child.kill('SIGKILL');
    }
    fs.rmSync(temporary, { recursive: true, force: true });
  }
  const text = report(groups, { rounds, duration });
  console.log(`\n${text}`);
  const page = path.join(__dirname, 'RESULTS.md');
  fs.writeFileSync(page, text);
  must(bin('biome'), ['format', '--write', page]);
}

async function startGroup(peer, { name }, cwd, temporary) {
  // The old package's socket is at one fixed path in the temporary folder; Midway logs under HOME.
  const env = { ...process.env, NODE_ENV: 'production', TMPDIR: temporary, HOME: temporary };
  const child = fork(path.join(__dirname, 'group.js'), [peer], {
    cwd,
    env,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  await answer(child, name);
  return { name, child, results: [] };
}

async function ask(child, load) {
  child.send({ measure: load });
  return answer(child, `${load.concurrency} calls at once`);
}

/** The group's next report; bounded, because a peer may hang. */
async function answer(child, what) {
  const [message] = await once(child, 'message', { signal: AbortSignal.timeout(duration + 30_000) }).catch(error => {
    throw new Error(`no answer from the group (${what}): ${error.message}`);
  });
  return message.report;
}

function option(name, fallback) {
  const given = process.argv.find(argument => argument.startsWith(`--${name}=`));
  return given ? Number(given.split('=')[1]) : fallback;
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
