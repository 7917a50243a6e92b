// What a worker does when it is measured. Times are in microseconds.
const { checkEcho, values } = require('./values');

const WARM_UP_MS = 50;
const MOST_TO_WARM_UP = 64;

/** One call after the other. */
async function latency(call, { value, isSame }, { duration }) {
  const times = [];
  const end = performance.now() + duration;
  for (let now = performance.now(); now < end; ) {
    const echo = await call(value);
    const answered = performance.now();
    check(isSame(echo));
    times.push((answered - now) * 1000);
    now = answered;
  }
  return quantiles(times);
}

/** Keeps `concurrency` calls unanswered for `duration` ms. Everything until the last answer counts. */
async function throughput(call, { value, isSame }, { concurrency, duration }) {
  let isOver = false;
  let calls = 0;
  const chain = async () => {
    while (!isOver) {
      check(isSame(await call(value)));
      calls += 1;
    }
  };
  const cpu = process.cpuUsage();
  const begin = performance.now();
  setTimeout(() => {
    isOver = true;
  }, duration);
  await Promise.all(Array.from({ length: concurrency }, chain));
  const seconds = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { calls, perSecond: calls / seconds, cpu: user + system };
}

/**
 * A call whenever a timer of 1 ms fires, whether or not the one before is answered; and a second timer, due right after
 * the first: how long the call holds it up, and how much longer than 1 ms its interval is. Half as long without calls
 * before, because a timer is late on its own, too.
 */
async function paced(call, payload, { duration }) {
  const before = await tick(() => undefined, payload, duration / 2);
  const { times, held, late } = await tick(call, payload, duration);
  return { ...quantiles(times), held, late, lateBefore: before.late };
}

async function tick(call, { value }, duration) {
  const times = [];
  const held = [];
  const late = [];
  const answers = [];
  let started = performance.now();
  let previous;
  const pace = setInterval(() => {
    started = performance.now();
    const begin = started;
    const answer = call(value);
    answers.push(answer?.then(() => times.push((performance.now() - begin) * 1000)));
  }, 1);
  const other = setInterval(() => {
    const now = performance.now();
    held.push((now - started) * 1000);
    if (previous !== undefined) {
      late.push(Math.max(0, now - previous - 1) * 1000);
    }
    previous = now;
  }, 1);
  await new Promise(resolve => setTimeout(resolve, duration));
  clearInterval(pace);
  clearInterval(other);
  await Promise.all(answers);
  return { times, held: quantiles(held), late: quantiles(late) };
}

/**
 * Makes many more calls than can be answered meanwhile, `perTurn` of them in each turn of the event loop. Those that are
 * refused (too many are waiting) count as refused.
 */
async function burst(call, { value }, { calls, perTurn }) {
  let answered = 0;
  let refused = 0;
  let peak = 0;
  const outcome = [() => (answered += 1), () => (refused += 1)];
  const begin = performance.now();
  for (let made = 0; made < calls; made += perTurn) {
    for (let i = 0; i < perTurn; i++) {
      call(value).then(...outcome);
    }
    peak = Math.max(peak, process.memoryUsage.rss());
    await new Promise(setImmediate);
  }
  while (answered + refused < calls) {
    peak = Math.max(peak, process.memoryUsage.rss());
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  return { answered, refused, peak, endedIn: performance.now() - begin };
}

function check(isRight) {
  if (!isRight) {
    throw new Error('a call was answered with another value than it was made with');
  }
}

function quantiles(times) {
  times.sort((a, b) => a - b);
  const at = q => times[Math.min(times.length - 1, Math.floor(times.length * q))];
  return { p50: at(0.5), p99: at(0.99), max: times[times.length - 1] };
}

const kinds = { latency, throughput, paced, burst };
const payloadOf = workload => values[workload.value ?? 'small'];

/** Before the clock runs: one echo is compared in full, and the caches are filled again. */
async function prepare(call, workload) {
  const payload = payloadOf(workload);
  await checkEcho(call, payload);
  if (workload.kind !== 'burst') {
    // All of them have to be answered before the clock runs, for which a slow peer needs long.
    const concurrency = Math.min(workload.concurrency ?? 1, MOST_TO_WARM_UP);
    await throughput(call, payload, { concurrency, duration: WARM_UP_MS });
  }
}

function measure(call, workload) {
  return kinds[workload.kind](call, payloadOf(workload), workload);
}

module.exports = { prepare, measure };
