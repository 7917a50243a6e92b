// One peer's processes: a cluster primary and its workers, which measure when they are told to.
//   node benchmark/group.js <peer>   (with the peer's project as working directory)
const cluster = require('node:cluster');
const path = require('node:path');
const { monitorEventLoopDelay } = require('node:perf_hooks');
const { shareOneCore } = require('./cores');
const { cpuOf } = require('./cpu');
const { localCost } = require('./local-cost');
const { measure, prepare } = require('./measure');
const { WHO } = require('./values');

const WORKERS = 4;
const peer = require(path.join(__dirname, 'peers', process.argv[2]));

async function runPrimary() {
  cluster.setupPrimary(peer.settings ?? {});
  const { pids = [], local } = (await peer.primary()) ?? {};
  const workers = Array.from({ length: WORKERS }, () => cluster.fork());
  for (const worker of workers) {
    worker.on('exit', code => fail(new Error(`a worker has ended with code ${code}`)));
  }
  const started = await Promise.all(workers.map(worker => said(worker, 'started')));
  const strangers = started.filter(({ by }) => by !== process.pid && !pids.includes(by));
  if (strangers.length > 0) {
    throw new Error(`a call was executed by process ${strangers[0].by}, which is not the primary`);
  }
  process.on('message', ({ workload, local: loop }) => {
    const measured = loop ? localCost(local, loop) : measureGroup(workers, pids, workload);
    measured.then(result => process.send({ result }), fail);
  });
  process.send({
    result: { pids: [process.pid, ...pids, ...workers.map(worker => worker.process.pid)], workers: WORKERS },
  });
}

/** `pids`: who works for the primary. Its processors' time is the primary's. */
async function measureGroup(workers, pids, workload) {
  const callers = workload.all ? workers : workers.slice(0, 1);
  const own = [process.pid, ...pids, ...callers.map(caller => caller.process.pid)];
  const release = workload.oneCore ? shareOneCore(own) : () => {};
  try {
    return await measureCallers(callers, pids, workload);
  } finally {
    release();
  }
}

async function measureCallers(callers, pids, workload) {
  await Promise.all(callers.map(worker => ask(worker, { prepare: workload }, 'prepared')));
  const delay = workload.delay ? monitorEventLoopDelay({ resolution: 1 }) : undefined;
  delay?.enable();
  const own = process.cpuUsage();
  const helpers = cpuOf(pids);
  const reports = await Promise.all(callers.map(worker => ask(worker, { measure: workload }, 'measured')));
  const { user, system } = process.cpuUsage(own);
  delay?.disable();
  // The histogram has the times between two looks, 1 ms apart. Where others answer, it says nothing about them.
  const ms = nanoseconds => (pids.length > 0 ? Number.NaN : Math.max(0, nanoseconds / 1e6 - 1));
  return {
    workers: reports.map(({ result }) => result),
    cpu: user + system + cpuOf(pids) - helpers,
    delay: delay && { p50: ms(delay.percentile(50)), p99: ms(delay.percentile(99)), max: ms(delay.max) },
    peak: process.resourceUsage().maxRSS * 1024,
  };
}

function ask(worker, order, answer) {
  const answered = said(worker, answer);
  worker.send(order);
  return answered;
}

/** A plain listener: the calls of some peers come this way, too, and waiting must cost them nothing. */
function said(worker, what) {
  return new Promise((resolve, reject) => {
    const listener = message => {
      if (message.said === what || message.failed) {
        worker.off('message', listener);
        message.failed ? reject(new Error(message.failed)) : resolve(message);
      }
    };
    worker.on('message', listener);
  });
}

async function runWorker() {
  const call = await peer.worker();
  process.on('message', message => {
    if (message.prepare) {
      prepare(call, message.prepare).then(() => process.send({ said: 'prepared' }), fail);
    } else if (message.measure) {
      measure(call, message.measure).then(result => process.send({ said: 'measured', result }), fail);
    }
  });
  process.send({ said: 'started', by: await call(WHO) });
}

/** Whoever waits is told why there is nothing to wait for. */
function fail(error) {
  console.error(error);
  process.send({ failed: error.message }, () => process.exit(1));
}

process.on('disconnect', () => process.exit(0));
(cluster.isPrimary ? runPrimary() : runWorker()).catch(fail);
