// Which way is faster for a value, packed, text or bytes, there and back with all that lies between: one copy into a frame,
// and UTF-8 both ways for text. The last column is how it goes as the arguments of a call. Run by hand, after
// `npm run build`:
//   node benchmark/codec.js
const { fromBytes, toBytes } = require('../dist/codec/bytes');
const { encode } = require('../dist/codec');
const { pack } = require('../dist/codec/pack');
const { LARGEST_PACKED } = require('../dist/codec/packed');
const { toText } = require('../dist/codec/text');
const { unpack } = require('../dist/codec/unpack');

const list = (length, make) => Array.from({ length }, (_, i) => make(i));
const row = id => ({ id, name: `user ${id}`, active: id % 2 === 0, tags: ['a', 'b'], address: { zip: 10_000 + id } });
const values = {
  'small arguments': [1, 'x', { a: 1 }],
  'one row': [row(1)],
  ...Object.fromEntries([5, 7, 10, 100, 1000].map(n => [`${n} rows`, [list(n, row)]])),
  ...Object.fromEntries(
    [8, 24, 80, 240, 500, 1000, 2000, 4000, 1_000_000].map(n => [`one-byte string, ${n}`, ['a "b" c\n'.repeat(n / 8)]]),
  ),
  ...Object.fromEntries(
    [8, 24, 80, 240, 500, 1000, 2000, 4000, 1_000_000].map(n => [`two-byte string, ${n}`, ['中文字符'.repeat(n / 4)]]),
  ),
  ...Object.fromEntries(
    [4000, 16_000, 64_000].map(n => [`100 rows and a string, ${n}`, [list(100, row), 'x'.repeat(n)]]),
  ),
  ...Object.fromEntries([10, 100, 200, 1000, 10_000].map(n => [`${n} integers`, [list(n, i => i)]])),
  ...Object.fromEntries([10, 100, 1000, 10_000].map(n => [`${n} fractions`, [list(n, i => i * 1.37)]])),
  ...Object.fromEntries([10, 50, 100, 1000, 10_000].map(n => [`${n} strings`, [list(n, i => `string ${i}`)]])),
  'a Buffer, 100': [Buffer.alloc(100)],
  'a Buffer, 1,000,000': [Buffer.alloc(1_000_000)],
  'a Float64Array, 100,000': [new Float64Array(100_000)],
};

// As toText would write it, however long its strings are.
const text = value => JSON.parse(Buffer.from(`[${toText(value, true) ?? JSON.stringify(value)}]`).toString());
const bytes = value => fromBytes(Buffer.from(toBytes(value, 'args', 20)).subarray(20), true);
const memory = Buffer.alloc(LARGEST_PACKED);
const frame = Buffer.alloc(LARGEST_PACKED);
const packed = value => {
  const end = pack(value, true, memory, 0);
  memory.copy(frame, 0, 0, end);
  return unpack(frame, 0, end);
};
const cpu = () => process.cpuUsage().user + process.cpuUsage().system;

/** Microseconds of the processor; the best of some rounds that take turns. */
function measure(value, ways) {
  const best = ways.map(() => Number.POSITIVE_INFINITY);
  let times = 1;
  for (let round = 0; round < 8; round++) {
    ways.forEach((way, i) => {
      const begin = cpu();
      for (let n = 0; n < times; n++) {
        way(value);
      }
      best[i] = Math.min(best[i], (cpu() - begin) / times);
    });
    // The first rounds warm up, and tell how many it takes to last about 10 ms.
    times = round < 2 ? Math.max(3, Math.ceil(10_000 / (best[0] || 1))) : times;
  }
  return best;
}

const columns = ['packed µs', 'text µs', 'bytes µs'].map(title => title.padStart(11));
console.log(`${'value'.padEnd(30)}${columns.join('')}  chosen`);
for (const [name, value] of Object.entries(values)) {
  const isPacked = pack(value, true, memory, 0) > 0;
  const isPlain = !ArrayBuffer.isView(value[0]);
  const ways = [isPacked && packed, isPlain && text, bytes];
  const measured = measure(value, ways.filter(Boolean));
  const shown = ways.map(way => (way ? measured.shift().toFixed(2) : '-').padStart(11));
  const chosen = isPacked ? 'packed' : typeof encode(value, 'args') === 'string' ? 'text' : 'bytes';
  console.log(`${name.padEnd(30)}${shown.join('')}  ${chosen}`);
}
