// Shows what the package does, on the example application in several real processes:
//   npm run demo             under Midway's ClusterManager
//   npm run demo -- --pm2    under pm2, in a PM2_HOME of its own
// Everything that is printed comes from real HTTP requests. Exit code 1 if what it shows is not true.
const { setup } = require('./setup');
const { pack } = require('./pack');
const { project } = require('./projects');
const { askUntil, get } = require('./demo/requests');
const { untilHealth } = require('./demo/health');
const { showMetrics } = require('./demo/metrics');
const { startManager } = require('./demo/manager');
const { startPm2 } = require('./demo/pm2');

const workers = 4;
/** How often `/count-here` is asked for. */
const counted = 8;

async function main() {
  const pm2 = process.argv.includes('--pm2');
  setup();
  const folder = project('demo', { tarballs: pack() });
  const app = pm2 ? await startPm2(folder, project('tools'), workers) : await startManager(folder, workers);
  try {
    await askUntil(app, '/whoami', answers => pidsOf(answers, 'answeredBy').length === workers);
    console.log(`\nThe example application runs in ${workers} processes under ${app.manager}.`);
    console.log('Every request below is real and goes to whichever process takes it.\n');
    await eachCountsForItself(app);
    await onePrimaryCountsForAll(app);
    await theNextOneCountsOn(app);
    await everyoneSpeaksForAll(app);
    await theNextOneTakesOver(app);
    console.log('All of this was true.');
  } catch (error) {
    console.log(app.output());
    throw error;
  } finally {
    await app.stop();
  }
}

async function eachCountsForItself(app) {
  console.log('1. Without the decorator: every process counts for itself.\n');
  const answers = await requests(app, '/count-here', counted);
  check(pidsOf(answers, 'answeredBy').length > 1, 'the requests did not land on different processes');
  check(
    answers.every(answer => answer.answeredBy === answer.countedBy),
    'a method without the decorator ran elsewhere',
  );
  check(!answers.every(({ count }, i) => count === i + 1), 'the processes agreed without the decorator');
  console.log('   8 requests, but nobody has counted to 8. All of them asked with agent.inAll():\n');
  const { each } = await get(app.port, '/counted-by-each');
  for (const { pid, role, value } of each) {
    console.log(`   pid ${pid}, ${role}: ${value}`);
  }
  check(each.length === workers, 'not every process has answered');
  check(each.reduce((sum, { value }) => sum + value, 0) === counted, 'what the processes have counted is not 8');
  console.log('');
}

async function onePrimaryCountsForAll(app) {
  console.log('2. With @RunInPrimary(): one process counts for all.\n');
  const answers = await requests(app, '/count-for-all', 8);
  check(pidsOf(answers, 'answeredBy').length > 1, 'the requests did not land on different processes');
  check(pidsOf(answers, 'countedBy').length === 1, 'more than one process counted');
  check(
    answers.every(({ count }, i) => count === i + 1),
    'the numbers do not grow one by one',
  );
  console.log('   8 requests, counted from 1 to 8, whoever answered.\n');
}

async function theNextOneCountsOn(app) {
  const { countedBy: old, count } = await get(app.port, '/count-for-all');
  console.log(`3. ${app.stopping(old)}\n`);
  app.stopPrimary(old);
  const asked = await askUntil(
    app,
    '/count-for-all',
    answers => answers.length > 0 && answers.at(-1).countedBy !== old,
  );
  const counts = asked.map(answer => answer.count);
  check(
    counts.every((each, i) => each > (counts[i - 1] ?? count)),
    'the next primary does not count on',
  );
  console.log(`   Counted to ${count} by ${old}; pid ${asked.at(-1).countedBy} was handed that over by transfer():\n`);
  await requests(app, '/count-for-all', 3);
}

async function everyoneSpeaksForAll(app) {
  console.log('4. Health and metrics: every process speaks for all of them.\n');
  // The process that was stopped before has left by then, and the one in its place has started.
  const isWhole = ({ members }) => members?.length === workers && members.every(({ state }) => state === 'ok');
  const { members } = (await askUntil(app, '/health/group', answers => isWhole(answers.at(-1) ?? {}))).at(-1);
  const pids = members.map(({ member }) => member.pid);
  await untilHealth(app, pids, { status: 200 });
  check((await showMetrics(app)).total === counted, 'what those have counted that were stopped is lost');
  const { answeredBy: stuck } = await get(app.port, '/hang?ms=4000');
  const began = performance.now();
  console.log(`\n   GET /hang   answered by ${stuck}, which runs while (true) {} from now on\n`);
  const others = pids.filter(pid => pid !== stuck);
  const reasons = await untilHealth(app, others, { status: 503, because: stuck });
  check(reasons.size === others.length, 'not everybody has noticed');
  console.log(
    `\n   Known to all ${Math.round(performance.now() - began)} ms after it began (processAgent.health.maxLag is 1000).\n`,
  );
  const { total, old } = await showMetrics(app);
  check(total === counted && old.join() === String(stuck), 'the metrics do not say that one process is stuck');
  console.log(
    '   A stuck process costs a scrape processAgent.metrics.timeout (1000), and counts with what it said last.\n',
  );
  await untilHealth(app, pids, { status: 200 });
  console.log('\n   It goes on, and all is well again.\n');
}

async function theNextOneTakesOver(app) {
  const { countedBy: old } = await get(app.port, '/count-for-all');
  const { epoch } = await get(app.port, '/whoami');
  console.log(`5. The primary dies: kill -9 ${old}\n`);
  const killed = performance.now();
  process.kill(old, 'SIGKILL');
  const told = untilHealth(app, 1, { status: 503, because: old });
  await askUntil(app, '/count-for-all', answers => answers.length > 0 && answers.at(-1).countedBy !== old);
  console.log(`   The next primary answers after ${Math.round(performance.now() - killed)} ms.\n`);
  // Until it is replaced, or for processAgent.health.forgetDead.
  await told;
  check((await showMetrics(app)).total === counted, 'what the process has counted that was killed is lost');
  console.log('   What it had counted for /metrics is still there.\n');
  const answers = await requests(app, '/count-for-all', 6);
  const counters = pidsOf(answers, 'countedBy');
  check(counters.length === 1 && counters[0] !== old, 'not exactly one other process counts');
  check(
    answers.every(({ count }, i) => count === answers[0].count + i),
    'the numbers do not grow one by one',
  );
  const now = await get(app.port, '/whoami');
  check(now.epoch > epoch, 'the epoch has not grown');
  console.log(
    `   One primary again, in epoch ${now.epoch} after ${epoch}. What the old one had kept for all died with it.\n`,
  );
}

/** Sends requests one after another and prints who answered and who counted. */
async function requests(app, path, count) {
  const answers = [];
  for (let i = 0; i < count; i++) {
    const answer = await get(app.port, path);
    answers.push(answer);
    const { answeredBy, countedBy } = answer;
    console.log(`   GET ${path}   answered by ${answeredBy}, counted by ${countedBy}: ${answer.count}`);
  }
  console.log('');
  return answers;
}

function pidsOf(answers, key) {
  return [...new Set(answers.map(answer => answer[key]))];
}

function check(truth, otherwise) {
  if (!truth) {
    throw new Error(otherwise);
  }
}

main().catch(error => {
  console.error(`The demo failed: ${error.message}`);
  process.exitCode = 1;
});
