const { table, when } = require('./report');
const { circumstances } = require('./results');

/** The measurements of metrics.js as a page of Markdown: for each size of the group prom-client's row, then ours. */
function report(pairs, { rounds }) {
  const parts = [
    '# Results: metrics',
    'One scrape of a whole group whose members have 500 series each, in the cluster primary: `getMetrics()` beside ' +
      "prom-client's `AggregatorRegistry.clusterMetrics()`, in the same processes, in turns. Medians of " +
      `${rounds} rounds. Written by \`npm run bench:metrics\`.`,
    when(circumstances()),
    'Total: from the question to the text. Blocked: for how long the JavaScript of the process that answers was busy in ' +
      "that time. Each member: what it has cost a worker's event loop, of the processor's time.",
    table(
      ['members', '', 'total, ms', 'blocked, ms', 'each member, ms'],
      pairs.flat().map(({ count, name, ...times }) => [count, name, ...inColumns(times)]),
    ),
    'Ratios: above 1, this package is better.',
    table(
      ['members', 'total', 'blocked', 'each member'],
      pairs.map(([theirs, ours]) => [
        ours.count,
        ...['total', 'busy', 'member'].map(key => `${(theirs[key] / ours[key]).toFixed(1)}x`),
      ]),
    ),
  ];
  return `${parts.join('\n\n')}\n`;
}

function inColumns({ total, busy, member }) {
  return [total, busy, member].map(time => time.toFixed(2));
}

module.exports = { report };
