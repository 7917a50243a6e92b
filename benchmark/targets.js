// What the calls are meant to reach, and whether they do. Factors are against process.send (with JSON, unless a workload
// names another): above 1 is better.
const { workloads } = require('./workloads');

const factor = (title, workload, column, least, aim, peer = 'agent') => ({ title, workload, column, least, aim, peer });

const factors = [
  factor('one call at a time, p50', 'latency', 'p50', 8, 20),
  factor('the same without spinning', 'latency', 'p50', 1.3, 2, 'agent-no-spin'),
  factor('the same with both processes on one core', 'oneCore', 'p50', 1.3, 2),
  factor('one call at a time, p99', 'latency', 'p99', 3, 20),
  factor('64 calls at once', 'throughput', 'rate', 2, 4),
  factor('1024 calls at once', 'wide', 'rate', 5, 7),
  factor('4 workers, 64 calls each', 'workers', 'rate', 5, 9),
  factor('CPU per call', 'throughput', 'cpu', 3, 5),
  factor('a string of 1 MB', 'string', 'rate', 3, 6),
  factor('a Buffer of 1 MB (structured clone)', 'buffer', 'rate', 1, 1.5),
];

/** Numbers that count alone; `least` is the most where less is better. */
const bounds = [
  { title: 'slowest of 4 workers / mean', workload: 'workers', column: 'slowest', least: 0.9, aim: 0.9, unit: '' },
  { title: 'a local call beyond the bare method', workload: 'local', column: 'cost', most: 300, aim: 100, unit: ' ns' },
  { title: 'CPU of an idle worker', workload: 'idle', column: 'worker', most: 0.2, aim: 0.05, unit: ' %' },
  { title: 'a timer held up by a call, p99', workload: 'paced', column: 'heldP99', aim: 100, unit: ' µs' },
];

/** How many times better `theirs` is than `base`'s. */
function ratio({ lessIsBetter }, value, base) {
  return lessIsBetter ? base / value : value / base;
}

/** Rows of { title, least, aim, measured, verdict }, of what was measured. `app`: the section of the application. */
function compareWithTargets(peers, app) {
  const value = (peer, workload, column) => peers?.find(({ id }) => id === peer)?.medians[workload]?.[column];
  const rows = factors.map(({ title, workload, column, least, aim, peer }) => {
    const { base = 'send', columns } = workloads.find(({ id }) => id === workload);
    const ours = value(peer, workload, column);
    const theirs = value(base, workload, column);
    const measured =
      ours && theirs
        ? ratio(
            columns.find(({ id }) => id === column),
            ours,
            theirs,
          )
        : undefined;
    return verdict({ title, least, aim, measured, show: number => `${number.toFixed(number < 10 ? 2 : 1)}x` });
  });
  for (const { title, workload, column, least, most, aim, unit } of bounds) {
    const measured = value('agent', workload, column);
    const show = number => `${number < 10 ? Number(number.toPrecision(2)) : Math.round(number)}${unit}`;
    rows.push(verdict({ title, least: least ?? most, aim, measured, show, lessIsBetter: least === undefined }));
  }
  const share = app?.medians.call?.share;
  const show = number => `${Math.round(number * 100)} %`;
  rows.push(
    verdict({ title: 'requests/s of a route with a call / without', least: 0.9, aim: 0.9, measured: share, show }),
  );
  return rows.filter(Boolean);
}

function verdict({ title, least, aim, measured, show, lessIsBetter = false }) {
  if (!Number.isFinite(measured)) {
    return undefined;
  }
  const reaches = bound => bound !== undefined && (lessIsBetter ? measured <= bound : measured >= bound);
  const said = reaches(aim) ? 'aim' : reaches(least) ? 'at least' : 'missed';
  return {
    title,
    least: least === undefined ? '' : show(least),
    aim: show(aim),
    measured: show(measured),
    verdict: said,
  };
}

module.exports = { compareWithTargets, ratio };
