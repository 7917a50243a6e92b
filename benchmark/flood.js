// A million calls that nobody waits for: what memory they take, and how the primary's event loop does meanwhile.
//   node benchmark/flood.js
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { pack } = require('../scripts/pack');
const { setup } = require('../scripts/setup');
const { checkOptions } = require('./options');
const { installPeer, loadPeers } = require('./peers');
const { circumstances, reasonOf } = require('./results');
const { startGroup } = require('./start-group');

const calls = 1_000_000;
const perTurn = 20_000;
const PATIENCE_MS = 120_000;

const floods = [
  { title: 'this package, maxPending 10,000 (the default)', peer: 'agent', env: {} },
  { title: 'this package, maxPending 1,000,000', peer: 'agent', env: { BENCHMARK_MAX_PENDING: '1000000' } },
  { title: 'this package, thread lane, the default', peer: 'agent-thread', env: {} },
  { title: 'process.send, which refuses nothing', peer: 'send', env: {} },
];

async function floodWithMillion({ tarballs, temporary }) {
  const measured = [];
  for (const { title, peer: id, env } of floods) {
    const [peer] = loadPeers([id]);
    let group;
    try {
      group = await startGroup(peer, installPeer(peer, tarballs), temporary, env);
      const workload = { id: 'million', kind: 'burst', calls, perTurn, delay: true };
      const { workers, peak, delay } = await group.measure(workload, { duration: PATIENCE_MS });
      measured.push({ title, ...workers[0], primaryPeak: peak, delay });
    } catch (error) {
      measured.push({ title, reason: reasonOf(error, temporary) });
    } finally {
      await group?.stop();
    }
    console.log(`flood: ${title}`);
  }
  return { calls, perTurn, floods: measured };
}

module.exports = { floodWithMillion };

async function main() {
  checkOptions([]);
  setup();
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-'));
  try {
    const million = { ...circumstances(), ...(await floodWithMillion({ tarballs: pack(), temporary })) };
    console.log(require('./report').report({ million }));
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}

if (require.main === module) {
  main().catch(error => {
    console.error(error);
    process.exitCode = 1;
  });
}
