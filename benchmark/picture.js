// docs/calls.svg: how many times better than process.send each peer is, as bars. The colours can be read on a light page
// and on a dark one.
const { ratio } = require('./targets');
const { workloads } = require('./workloads');

const panels = [
  { title: 'one call at a time: p50', workload: 'latency', column: 'p50' },
  { title: '64 calls at once: calls/s', workload: 'throughput', column: 'rate' },
  { title: '1024 calls at once: calls/s', workload: 'wide', column: 'rate' },
  { title: '4 workers, 64 calls each: calls/s', workload: 'workers', column: 'rate' },
];
const panel = { width: 450, head: 28, label: 172, value: 44, gap: 18 };
const row = { height: 15, bar: 9, base: 11 };
const colours = { ours: '#2f81f7', other: '#8b949e', text: '#768390' };
/** Doublings: what is further away from 1x than these ends there, and its number says how far it is. */
const reach = { least: -4, most: 5 };

function drawCalls({ peers, date, machine }) {
  const drawn = panels.map(each => ({ ...each, rows: ratios(each, peers) })).filter(({ rows }) => rows.length > 0);
  const highest = Math.max(0, ...drawn.map(({ rows }) => rows.length));
  const height = panel.head + highest * row.height + panel.gap;
  const top = 48;
  const shapes = drawn.map(
    (each, i) =>
      `<g transform="translate(${(i % 2) * (panel.width + 10)} ${top + Math.floor(i / 2) * height})">\n${drawPanel(each)}\n</g>`,
  );
  return svg({
    width: 2 * panel.width + 10,
    height: top + Math.ceil(drawn.length / 2) * height,
    title: 'Calls to another process, against process.send',
    heading: 'How many times better than process.send with JSON (each doubling is equally long)',
    when: `${date}, ${machine}`,
    shapes,
  });
}

/** A picture with two lines of text above its shapes. */
function svg({ width, height, title, heading, when, shapes }) {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${title}</title>`,
    `<style>text{font:11px system-ui,sans-serif;fill:${colours.text}}.head{font-weight:600;font-size:12px}.end{text-anchor:end}</style>`,
    text(0, 14, heading, 'head'),
    text(0, 31, when),
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
    .filter(({ medians, isLimit }) => base && medians[workload] && !isLimit)
    .map(({ id, name, medians }) => ({ id, name, times: ratio(described, medians[workload][column], base) }))
    .sort((a, b) => b.times - a.times);
}

/** Bars from 1x: to the right what is better, to the left what is worse. */
function drawPanel({ title, rows }) {
  const left = panel.label + panel.value;
  const unit = (panel.width - left - panel.value) / (reach.most - reach.least);
  const at = log => left + (Math.min(reach.most, Math.max(reach.least, log)) - reach.least) * unit;
  const zero = at(0);
  const drawn = rows.flatMap(({ id, name, times }, i) => {
    const y = panel.head + i * row.height;
    const end = at(Math.log2(times));
    const colour = id.startsWith('agent') ? colours.ours : colours.other;
    return [
      text(panel.label - 6, y + row.base - 1, name, 'end'),
      `<rect x="${round(Math.min(zero, end))}" y="${y + 1}" width="${round(Math.max(1, Math.abs(end - zero)))}" height="${row.bar}" fill="${colour}"/>`,
      times < 1
        ? text(end - 4, y + row.base - 1, factor(times), 'end')
        : text(end + 4, y + row.base - 1, factor(times)),
    ];
  });
  const bottom = panel.head + rows.length * row.height;
  const axis = `<path d="M${round(zero)} ${panel.head - 3}V${bottom}" stroke="${colours.other}"/>`;
  return [text(panel.label, 16, title, 'head'), ...drawn, axis].join('\n');
}

function text(x, y, content, kind) {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${round(x)}" y="${y}"${kind ? ` class="${kind}"` : ''}>${escaped}</text>`;
}

const factor = times => `${times.toFixed(times < 10 ? 2 : 1)}x`;
const round = number => Math.round(number * 10) / 10;

module.exports = { drawCalls, round, svg, text };
