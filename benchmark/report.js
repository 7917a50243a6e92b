// The results as a page of Markdown. Run alone, it writes RESULTS.md and the pictures anew from results.json.
//   node benchmark/report.js
const fs = require('node:fs');
const path = require('node:path');
const { bin, must, root } = require('../scripts/shell');
const { barsOf, drawAnatomy } = require('./anatomy-picture');
const { drawCalls } = require('./picture');
const { file, loadResults } = require('./results');
const { compareWithTargets, ratio } = require('./targets');
const { others, workloads } = require('./workloads');

const page = path.join(__dirname, 'RESULTS.md');
const docs = path.join(root, 'docs');

function report({ calls, anatomy, app, million }) {
  const parts = [
    ['# Results', 'Written by `npm run bench`. Ratios above 1 mean: so many times better than `process.send`.'],
    targets(calls, app),
    calls ? callsSection(calls) : [],
    anatomy ? anatomySection(calls, anatomy) : [],
    app ? appSection(app) : [],
    million ? millionSection(million) : [],
  ];
  return `${parts.flat().join('\n\n')}\n`;
}

function targets(calls, app) {
  const rows = compareWithTargets(calls?.peers, app);
  if (rows.length === 0) {
    return [];
  }
  return [
    '## What is wanted',
    table(
      ['', 'at least', 'aim', 'measured', 'reached'],
      rows.map(each => [each.title, each.least, each.aim, each.measured, each.verdict]),
    ),
    ...limits(calls?.peers ?? []),
  ];
}

/** What those reach that do nothing else than what has to be done. */
function limits(peers) {
  const { columns } = workloads.find(({ id }) => id === 'latency');
  const [p50] = columns;
  const micros = ({ medians }) => medians.latency?.p50;
  const send = peers.find(({ id }) => id === 'send');
  return peers
    .filter(peer => peer.isLimit && micros(peer) && send && micros(send))
    .map(peer => {
      const times = ratio(p50, micros(peer), micros(send)).toFixed(2);
      return `Without spinning no call can be faster than "${peer.name}": ${number(micros(peer))} µs, ${times}x.`;
    });
}

function callsSection({ peers, rounds, duration, ...where }) {
  return [
    '## Calls',
    `Workers call their cluster primary with small arguments, ${rounds} rounds of ${duration} ms for each number; the ` +
      'peers take turns, only one works at any time, and the medians are shown.',
    when(where),
    ...notMeasured(peers.map(({ name, reasons }) => [name, reasons.all])),
    ...[...workloads, ...others].flatMap(workload => workloadPart(workload, peers)),
  ];
}

function workloadPart({ id, title, columns, base = 'send' }, peers) {
  const measured = peers.filter(({ medians }) => medians[id]);
  if (measured.length === 0) {
    return [];
  }
  const baseline = peers.find(peer => peer.id === base);
  const compared = baseline?.medians[id] ? columns.filter(({ isCompared = true }) => isCompared) : [];
  const rows = measured.map(({ name, medians }) => [
    name,
    ...columns.map(column => number(medians[id][column.id], column.digits)),
    ...compared.map(column => `${ratio(column, medians[id][column.id], baseline.medians[id][column.id]).toFixed(2)}x`),
  ]);
  const unit = column => column.title.replace(/, (µs|ms)$/, '');
  const heads = compared.map(column => `${unit(column)}, against ${baseline.name}`);
  return [
    `### ${title}`,
    table(['', ...columns.map(column => column.title), ...heads], rows),
    ...notMeasured(peers.map(({ name, reasons }) => [name, reasons[id]])),
  ];
}

/** One paragraph, with a line for each pair of a name and a reason. */
function notMeasured(pairs) {
  const lines = pairs.filter(([, reason]) => reason).map(([name, reason]) => `${name}: not measured: ${reason}`);
  return lines.length > 0 ? [lines.join('\\\n')] : [];
}

function anatomySection(calls, anatomy) {
  const bars = barsOf({ calls, anatomy });
  const titles = [...new Set(bars.flatMap(({ slices }) => slices.map(({ title }) => title)))];
  const micros = (bar, title) => bar.slices.find(slice => slice.title === title)?.micros;
  return [
    '## Where the time of one call goes',
    'Microseconds. JavaScript of both ends without any transport, in batches of 32, the best of some rounds; the rest is ' +
      'what is left of what was measured between processes.',
    when(anatomy),
    table(
      ['', ...bars.map(({ title }) => title)],
      titles.map(title => [title, ...bars.map(bar => number(micros(bar, title), 2))]),
    ),
  ];
}

function appSection({ routes, medians, rounds, duration, connections, reasons, ...where }) {
  return [
    '## A whole application',
    `A koa route under load (autocannon, ${connections} connections, 4 workers), ${rounds} rounds of ${duration} ms each; ` +
      'the applications are started anew in each of them. The share is of the same start without a call.',
    when(where),
    table(
      ['', 'requests/s', 'p50, ms', 'p99, ms', 'CPU per request, µs', 'share of requests/s'],
      routes
        .filter(({ id }) => medians[id])
        .map(({ id, title }) => [
          title,
          ...['perSecond', 'p50', 'p99', 'cpu'].map(key => number(medians[id][key])),
          `${(medians[id].share * 100).toFixed(0)} %`,
        ]),
    ),
    ...notMeasured(Object.entries(reasons)),
  ];
}

function millionSection({ floods, calls, perTurn, ...where }) {
  return [
    '## A million calls',
    `One worker makes ${number(calls, 0)} calls, ${number(perTurn, 0)} in each turn of its event loop, and waits for none. ` +
      'What is over `maxPending` is refused. RSS is the most that the process had.',
    when(where),
    table(
      [
        '',
        'answered',
        'refused',
        'worker RSS, MB',
        'primary RSS, MB',
        'primary delayed, p99, ms',
        'max, ms',
        'seconds',
      ],
      floods.map(({ title, answered, refused, peak, primaryPeak, delay, endedIn, reason }) =>
        reason
          ? [title, `not measured: ${reason}`, '', '', '', '', '', '']
          : [
              title,
              number(answered, 0),
              number(refused, 0),
              number(peak / 1e6, 0),
              number(primaryPeak / 1e6, 0),
              number(delay.p99),
              number(delay.max),
              number(endedIn / 1000),
            ],
      ),
    ),
  ];
}

function when({ date, machine, node }) {
  return `${date}, ${machine}, Node ${node}.`;
}

function table(head, rows) {
  const line = cells => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

function number(value, digits = value >= 1000 ? 0 : 1) {
  if (!Number.isFinite(value)) {
    return '-';
  }
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Writes the page and the pictures; gives back the page's text. */
function writeReport() {
  const results = loadResults();
  const text = report(results);
  fs.writeFileSync(page, text);
  if (results.calls) {
    fs.writeFileSync(path.join(docs, 'calls.svg'), drawCalls(results.calls));
  }
  if (results.anatomy) {
    fs.writeFileSync(path.join(docs, 'call.svg'), drawAnatomy(results));
  }
  must(bin('biome'), ['format', '--write', page, file]);
  return text;
}

module.exports = { report, table, when, writeReport };

if (require.main === module) {
  console.log(writeReport());
}
