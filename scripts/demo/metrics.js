const { answerOf } = require('./requests');

/**
 * `/metrics`, from the first process that answers: several are asked, because one that hangs takes requests, too.
 * Prints in one line what all processes have counted, and whose part is old; gives back both.
 */
async function showMetrics(app) {
  const began = performance.now();
  const { text, ms } = await Promise.any(
    Array.from({ length: 4 }, async () => {
      const { status, body } = await answerOf(app.port, '/metrics', 3_000);
      if (status !== 200) {
        throw new Error(`GET /metrics answered ${status}: ${body}`);
      }
      return { text: body, ms: Math.round(performance.now() - began) };
    }),
  );
  const total = Number(/^app_counted_total (\S+)$/m.exec(text)?.[1]);
  const members = Number(/^process_agent_members\{state="ready"\} (\S+)$/m.exec(text)?.[1]);
  const ages = [...text.matchAll(/^process_agent_member_snapshot_age_seconds\{.*pid="(\d+)".*\} (\S+)$/gm)];
  // Of all others, the part is younger than the request.
  const old = ages.map(([, pid, age]) => ({ pid: Number(pid), age: Number(age) })).filter(({ age }) => age * 1000 > ms);
  const told = old.map(({ pid, age }) => `; what pid ${pid} said is ${age.toFixed(1)} s old`).join('');
  console.log(`   GET /metrics  after ${ms} ms: app_counted_total ${total}, from ${members} processes${told}`);
  return { total, old: old.map(({ pid }) => pid) };
}

module.exports = { showMetrics };
