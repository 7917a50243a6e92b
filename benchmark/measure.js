const assert = require('node:assert');

const value = { id: 7, name: 'a small value', tags: ['a', 'b'] };

/** Keeps `concurrency` calls unanswered for `duration` ms. Latencies are in microseconds. */
async function measure(call, { concurrency, duration }) {
  assert.deepStrictEqual(await call(value), value);
  const latencies = [];
  const begin = performance.now();
  const end = begin + duration;
  const chain = async () => {
    let now = performance.now();
    while (now < end) {
      await call(value);
      const answered = performance.now();
      latencies.push((answered - now) * 1000);
      now = answered;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, chain));
  const seconds = (performance.now() - begin) / 1000;
  latencies.sort((a, b) => a - b);
  const quantile = q => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))];
  return { p50: quantile(0.5), p99: quantile(0.99), perSecond: latencies.length / seconds };
}

module.exports = { measure };
