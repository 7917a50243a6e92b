const os = require('node:os');

const columns = [
  { title: 'p50 at 1 call, µs', of: result => result.latency.p50, lessIsBetter: true },
  { title: 'p99 at 1 call, µs', of: result => result.latency.p99, lessIsBetter: true },
  { title: 'calls/s at 64 calls', of: result => result.throughput.perSecond, lessIsBetter: false },
];

/** The measurements as a page of Markdown. The first group is ours; ratios above 1 mean that it is better. */
function report(groups, { rounds, duration }) {
  const medians = groups.map(({ name, results }) => ({
    name,
    values: columns.map(({ of }) => median(results.map(of))),
  }));
  const [ours, ...others] = medians;
  return [
    '# Results',
    '',
    `One worker calls its cluster primary. Medians of ${rounds} rounds of ${duration} ms each; the peers take turns.`,
    `${new Date().toISOString().slice(0, 10)}, ${machine()}. Written by \`npm run bench\`.`,
    '',
    row(['', ...columns.map(({ title }) => title)]),
    row(['---', ...columns.map(() => '---:')]),
    ...medians.map(({ name, values }) => row([name, ...values.map(number)])),
    '',
    'Ratios: above 1, this package is better.',
    '',
    row(['against', ...columns.map(({ title }) => title.replace(/, µs$/, ''))]),
    row(['---', ...columns.map(() => '---:')]),
    ...others.map(({ name, values }) =>
      row([name, ...columns.map((column, i) => ratio(column, ours.values[i], values[i]))]),
    ),
    '',
  ].join('\n');
}

function ratio({ lessIsBetter }, ours, theirs) {
  return `${(lessIsBetter ? theirs / ours : ours / theirs).toFixed(2)}x`;
}

function machine() {
  const cores = os.cpus();
  return `${cores.length} cores (${cores[0].model.trim()}), ${os.type()} ${os.arch()}, Node ${process.version}`;
}

function number(value) {
  return value >= 1000 ? Math.round(value).toLocaleString('en-US') : value.toFixed(1);
}

function row(cells) {
  return `| ${cells.join(' | ')} |`;
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

module.exports = { report };
