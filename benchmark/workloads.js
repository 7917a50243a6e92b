// What is measured, and which numbers of a measurement are shown. `kind` is a function of measure.js; `all` lets every
// worker call at once, otherwise the first one does; `oneCore` puts caller and primary on one core; `peers` says who takes
// part, if not all do. `of` takes what group.js answers.
const first = result => result.workers[0];
const sum = numbers => numbers.reduce((total, number) => total + number, 0);
const rates = result => result.workers.map(worker => worker.perSecond);

/** Microseconds of all processors that a call takes: of its caller, of the primary, and of whoever helps that one. */
function cpuPerCall(result) {
  const callers = sum(result.workers.map(worker => worker.cpu));
  return (callers + result.cpu) / sum(result.workers.map(worker => worker.calls));
}

const less = { lessIsBetter: true };
const more = { lessIsBetter: false };
/** A number that says something alone: nobody is compared by it. */
const alone = { ...less, isCompared: false };

const workloads = [
  {
    id: 'latency',
    title: 'One call at a time',
    kind: 'latency',
    columns: [
      { id: 'p50', title: 'p50, µs', of: result => first(result).p50, ...less },
      { id: 'p99', title: 'p99, µs', of: result => first(result).p99, ...less },
    ],
  },
  {
    id: 'oneCore',
    title: 'One call at a time, both processes on one core',
    kind: 'latency',
    oneCore: true,
    columns: [
      { id: 'p50', title: 'p50, µs', of: result => first(result).p50, ...less },
      { id: 'p99', title: 'p99, µs', of: result => first(result).p99, ...less },
    ],
  },
  {
    id: 'throughput',
    title: '64 calls at once',
    kind: 'throughput',
    concurrency: 64,
    columns: [
      { id: 'rate', title: 'calls/s', of: result => first(result).perSecond, ...more },
      { id: 'cpu', title: 'CPU of both processes per call, µs', of: cpuPerCall, ...less },
    ],
  },
  {
    id: 'wide',
    title: '1024 calls at once',
    kind: 'throughput',
    concurrency: 1024,
    columns: [{ id: 'rate', title: 'calls/s', of: result => first(result).perSecond, ...more }],
  },
  {
    id: 'workers',
    title: '4 workers, 64 calls each at once',
    kind: 'throughput',
    concurrency: 64,
    all: true,
    columns: [
      { id: 'rate', title: 'calls/s, all four', of: result => sum(rates(result)), ...more },
      {
        id: 'slowest',
        title: 'slowest worker / mean',
        of: result => Math.min(...rates(result)) / (sum(rates(result)) / result.workers.length),
        ...more,
        digits: 2,
        isCompared: false,
      },
    ],
  },
  {
    id: 'string',
    title: 'A string of 1 MB, 4 calls at once',
    kind: 'throughput',
    concurrency: 4,
    value: 'string',
    columns: [{ id: 'rate', title: 'calls/s', of: result => first(result).perSecond, ...more }],
  },
  {
    id: 'buffer',
    title: 'A Buffer of 1 MB, 4 calls at once',
    kind: 'throughput',
    concurrency: 4,
    value: 'buffer',
    // JSON can't carry it.
    base: 'send-advanced',
    columns: [{ id: 'rate', title: 'calls/s', of: result => first(result).perSecond, ...more }],
  },
  {
    id: 'paced',
    title: 'One call per millisecond',
    kind: 'paced',
    columns: [
      { id: 'p50', title: 'p50, µs', of: result => first(result).p50, ...less },
      { id: 'p99', title: 'p99, µs', of: result => first(result).p99, ...less },
      { id: 'heldP99', title: 'next timer held up, p99, µs', of: result => first(result).held.p99, ...alone },
      { id: 'heldMax', title: 'max, µs', of: result => first(result).held.max, ...alone },
      { id: 'late', title: 'interval longer than 1 ms, p99, µs', of: result => first(result).late.p99, ...alone },
      { id: 'lateBefore', title: 'the same without calls, µs', of: result => first(result).lateBefore.p99, ...alone },
    ],
  },
  {
    id: 'flood',
    title: 'A flood: 4 workers, 1024 calls each at once',
    kind: 'throughput',
    concurrency: 1024,
    all: true,
    delay: true,
    // Others take seconds to answer what is still waiting at the end.
    peers: ['agent', 'agent-no-spin', 'agent-thread', 'send', 'net'],
    columns: [
      { id: 'rate', title: 'calls/s, all four', of: result => sum(rates(result)), ...more },
      { id: 'p50', title: "delay of the primary's event loop, p50, ms", of: result => result.delay.p50, ...alone },
      { id: 'p99', title: 'p99, ms', of: result => result.delay.p99, ...alone },
      { id: 'max', title: 'max, ms', of: result => result.delay.max, ...alone },
    ],
  },
];

/** What is measured once, and not in rounds (calls.js): it has nothing to do with what else the machine does. */
const others = [
  {
    id: 'local',
    title: 'A call in the primary itself, awaited',
    columns: [
      {
        id: 'cost',
        title: 'more than without the decorator, ns',
        of: ({ decorated, bare }) => decorated - bare,
        ...alone,
      },
      { id: 'decorated', title: 'with it, ns', of: result => result.decorated, ...alone },
      { id: 'bare', title: 'without, ns', of: result => result.bare, ...alone },
    ],
  },
  {
    id: 'idle',
    title: 'Nothing to do',
    columns: [
      { id: 'worker', title: 'CPU of a worker, %', of: result => result.worker, digits: 3, ...alone },
      { id: 'primary', title: 'CPU of the primary, %', of: result => result.primary, digits: 3, ...alone },
    ],
  },
];

module.exports = { workloads, others };
