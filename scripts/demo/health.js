const { answerOf } = require('./requests');

/**
 * Asks for the health again and again, until each of `pids` has given an answer with this status, or until so many have.
 * `because`: the reason must name this pid. Prints what was answered; gives the reasons by pid.
 */
async function untilHealth(app, pids, { status, because }) {
  const wanted = typeof pids === 'number' ? pids : pids.length;
  const reasons = new Map();
  const deadline = performance.now() + 30_000;
  let last = 'nothing';
  const ask = async () => {
    const answer = await answerOf(app.port, '/health', 2_000);
    last = answer.body;
    const { answeredBy, reason } = JSON.parse(answer.body);
    const fits = answer.status === status && (!because || reason.includes(`pid ${because} `));
    if (fits && !reasons.has(answeredBy) && reasons.size < wanted && (wanted === pids || pids.includes(answeredBy))) {
      reasons.set(answeredBy, reason);
      console.log(`   GET /health   answered by ${answeredBy}: ${status} ${reason ?? ''}`);
    }
  };
  while (reasons.size < wanted) {
    if (performance.now() > deadline) {
      throw new Error(`GET /health: not ${status} from all that were expected; the last answer was ${last}`);
    }
    // Not awaited: a request that lands on a process that hangs must not hold the others up.
    ask().catch(() => {});
    await new Promise(resolve => setTimeout(resolve, 40));
  }
  return reasons;
}

module.exports = { untilHealth };
