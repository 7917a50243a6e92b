// What the table of pending calls costs a call: one slot taken and given back, with so many calls unanswered beside it,
// in the order in which they were made and in another one. The best of some rounds. Run by hand, after `npm run build`:
//   node benchmark/pending.js
const { Call } = require('../dist/engine/call');
const { PendingCalls } = require('../dist/engine/pending');

const ROUNDS = 15;
const CALLS = 100_000;
const nothing = () => {};
const args = '[1,"x",{"a":1}]';
const make = () => new Call('ReportService.create', args, 0, args.length, undefined, false, undefined, undefined);

/** Nanoseconds a call, of `CALLS` calls of which `pending` are always unanswered. `next` chooses which one ends. */
function measure(pending, next) {
  const table = new PendingCalls({ maxPending: 2 * pending + 1, maxPendingBytes: 2 ** 40 }, nothing);
  const add = () => {
    const call = make();
    table.add(call);
    return call.id;
  };
  const open = Array.from({ length: pending }, add);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const began = process.hrtime.bigint();
    for (let n = 0; n < CALLS; n++) {
      table.checkRoom('ReportService.create', args.length);
      const id = add();
      const at = next(n, pending);
      // As with a reply: a number comes in, and the call is looked up.
      table.release(table.get(open[at]));
      open[at] = id;
    }
    best = Math.min(best, Number(process.hrtime.bigint() - began) / CALLS);
  }
  return best;
}

const inOrder = (n, pending) => n % pending;
// 7919 is prime to each of these: every slot has its turn.
const anyOrder = (n, pending) => (n * 7919) % pending;

console.log(`${'unanswered'.padEnd(12)}${'in order ns'.padStart(14)}${'any order ns'.padStart(14)}`);
for (const pending of [1, 64, 1024, 10_000]) {
  const times = [inOrder, anyOrder].map(next => measure(pending, next).toFixed(0).padStart(14));
  console.log(`${String(pending).padEnd(12)}${times.join('')}`);
}
