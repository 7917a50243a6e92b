// docs/call.svg: where the time of one call goes, as bars of the parts that anatomy.js measures and of what is left.
const { parts } = require('./anatomy');
const { round, svg, text } = require('./picture');

const size = { width: 910, left: 150, bar: 26, row: 44, top: 52, legend: 18 };
/** JavaScript of the caller in blues, of the primary in greens; what is neither in greys. */
const fills = {
  argumentsPacked: '#1f6feb',
  made: '#388bfd',
  repliesRead: '#58a6ff',
  settled: '#79c0ff',
  callsRead: '#238636',
  run: '#2ea043',
  resultPacked: '#56d364',
  rest: '#8b949e',
  wakes: '#d29922',
};

const REST = 'the rest: decorator, event loops, V8 and Rust, garbage, system calls';
const WAKES = { id: 'wakes', title: 'two wake-ups of a processor' };

/** The bars: `calls` is the section of the comparison, `anatomy` that of the parts. What was not measured is left out. */
function barsOf({ calls, anatomy }) {
  const median = (peer, workload, column) => calls?.peers.find(({ id }) => id === peer)?.medians[workload]?.[column];
  const own = parts.map(({ id, where, title }) => ({ id, title: `${where}: ${title}`, micros: anatomy.parts[id] }));
  const javaScript = own.reduce((sum, { micros }) => sum + micros, 0);
  const rest = total => ({ id: 'rest', title: REST, micros: total - javaScript });
  const [cpu, awake, asleep] = [
    median('agent', 'throughput', 'cpu'),
    median('agent', 'latency', 'p50'),
    median('agent-no-spin', 'latency', 'p50'),
  ];
  const bars = [
    cpu && { title: '64 at once: CPU of both', slices: [...own, rest(cpu)] },
    awake && { title: 'alone, both awake', slices: [...own, rest(awake)] },
    awake &&
      asleep && { title: 'alone, both asleep', slices: [...own, rest(awake), { ...WAKES, micros: asleep - awake }] },
  ].filter(Boolean);
  return bars.length > 0 ? bars : [{ title: 'JavaScript alone', slices: own }];
}

function drawAnatomy(results) {
  const bars = barsOf(results);
  const shapes = bars.flatMap((bar, i) => {
    const y = size.top + i * size.row;
    const total = bar.slices.reduce((sum, { micros }) => sum + micros, 0);
    let x = size.left;
    const drawn = bar.slices.map(({ id, title, micros }) => {
      const width = (micros * (size.width - size.left - 70)) / total;
      const shape = `<rect x="${round(x)}" y="${y}" width="${round(width)}" height="${size.bar}" fill="${fills[id]}"><title>${title} ${micros.toFixed(2)} µs</title></rect>`;
      x += width;
      return shape;
    });
    return [text(size.left - 8, y + 17, bar.title, 'end'), ...drawn, text(x + 6, y + 17, `${total.toFixed(1)} µs`)];
  });
  const titles = new Map(bars.flatMap(({ slices }) => slices).map(each => [each.id, each]));
  const top = size.top + bars.length * size.row + 8;
  const legend = [...titles.values()].flatMap(({ id, title }, i) => {
    const [x, y] = [(i % 2) * (size.width / 2), top + Math.floor(i / 2) * size.legend];
    return [`<rect x="${x}" y="${y}" width="10" height="10" fill="${fills[id]}"/>`, text(x + 16, y + 9, title)];
  });
  return svg({
    width: size.width,
    height: top + Math.ceil(titles.size / 2) * size.legend + 4,
    title: 'Where the time of one call goes',
    heading: 'Where the time of one call goes (each bar has a scale of its own)',
    when: `${results.anatomy.date}, ${results.anatomy.machine}`,
    shapes: [...shapes, ...legend],
  });
}

module.exports = { barsOf, drawAnatomy };
