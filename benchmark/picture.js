// docs/calls.svg: how many times better than process.send each peer is, as bars. Colours are readable on a light page and
// on a dark one.
const { ratio } = require('./targets');
const { workloads } = require('./workloads');

const panels = [
  { title: 'one call at a time, p50', workload: 'latency', column: 'p50' },
  { title: '64 calls at once', workload: 'throughput', column: 'rate' },
  { title: '1024 calls at once', workload: 'wide', column: 'rate' },
  { title: '4 workers, 64 calls each', workload: 'workers', column: 'rate' },
  { title: 'CPU per call', workload: 'throughput', column: 'cpu' },
];
const size = { width: 760, label: 190, value: 60, row: 17, bar: 11, panelHead: 34 };
const colours = { ours: '#2f81f7', base: '#8b949e', other: '#8b949e99', text: '#768390' };

function drawCalls({ peers, date, machine }) {
  let y = 48;
  const shapes = [];
  for (const panel of panels) {
    const rows = ratios(panel, peers);
    if (rows.length > 0) {
      shapes.push(text(0, y + 18, panel.title, 'class="title"'), ...bars(rows, y + size.panelHead - 6));
      y += size.panelHead + rows.length * size.row;
    }
  }
  const heading = [
    text(0, 16, 'How many times better than process.send with JSON', 'class="title"'),
    text(0, 34, `${date}, ${machine}; medians of alternated rounds; log scale`),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${y + 10}" role="img">`,
    '<title>Calls to another process, against process.send</title>',
    `<style>text{font:12px system-ui,sans-serif;fill:${colours.text}}.title{font-weight:600}.end{text-anchor:end}</style>`,
    ...heading,
    ...shapes,
    '</svg>',
    '',
  ].join('\n');
}

/** Best first, for one number. */
function ratios({ workload, column }, peers) {
  const described = workloads.find(({ id }) => id === workload).columns.find(({ id }) => id === column);
  const base = peers.find(({ id }) => id === 'send')?.medians[workload]?.[column];
  return peers
    .filter(({ medians }) => base && medians[workload])
    .map(({ id, name, medians }) => ({ id, name, times: ratio(described, medians[workload][column], base) }))
    .sort((a, b) => b.times - a.times);
}

/** From 1x, to the right what is better and to the left what is worse; each doubling is equally long. */
function bars(rows, top) {
  const logs = rows.map(({ times }) => Math.log2(times));
  const [least, most] = [Math.min(0, ...logs), Math.max(0, ...logs)];
  const left = size.label + size.value;
  const unit = (size.width - left - size.value) / Math.max(most - least, 1);
  const at = log => left + (log - least) * unit;
  const bottom = top + rows.length * size.row;
  const axis = `<line x1="${round(at(0))}" x2="${round(at(0))}" y1="${top}" y2="${bottom}" stroke="${colours.base}"/>`;
  const drawn = rows.flatMap(({ id, name, times }, i) => {
    const y = top + i * size.row;
    const [from, to] = [Math.min(at(0), at(logs[i])), Math.max(at(0), at(logs[i]))];
    const colour = id.startsWith('agent') ? colours.ours : id === 'send' ? colours.base : colours.other;
    const value = `${times.toFixed(times < 10 ? 2 : 1)}x`;
    return [
      text(size.label - 8, y + 12, escapeText(name), 'class="end"'),
      `<rect x="${round(from)}" y="${y + 2}" width="${round(Math.max(to - from, 1))}" height="${size.bar}" fill="${colour}"/>`,
      times < 1 ? text(from - 6, y + 12, value, 'class="end"') : text(to + 6, y + 12, value),
    ];
  });
  return [...drawn, axis];
}

function text(x, y, content, attributes = '') {
  return `<text x="${round(x)}" y="${y}" ${attributes}>${content}</text>`.replace(' >', '>');
}

const round = number => Math.round(number * 10) / 10;
const escapeText = name => name.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

module.exports = { drawCalls };
