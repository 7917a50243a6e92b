// The peers side by side: every workload in rounds in which they take turns, so that whatever else the machine does meets
// all of them. Only one of them works at any time.
const { setTimeout: delay } = require('node:timers/promises');
const { cpuOf } = require('./cpu');
const { installPeer } = require('./peers');
const { reasonOf } = require('./results');
const { startGroup } = require('./start-group');
const { turnsOf } = require('./turns');

const LOCAL = { calls: 100_000, turns: 9 };
/** How often a peer whose processes have ended is started again: for the workloads that it can do. */
const RESTARTS = 5;

/** One peer: its processes, what was measured, and why what was not. */
class Contender {
  constructor(peer, tarballs, temporary) {
    Object.assign(this, { peer, tarballs, temporary });
    this.results = {};
    this.reasons = {};
    this.starts = 0;
    this.group = undefined;
  }

  /** Whether it runs, or does so now. */
  async isReady() {
    if (this.group?.isAlive) {
      return true;
    }
    if (this.reasons.all) {
      return false;
    }
    try {
      if (this.starts > RESTARTS) {
        throw new Error('its processes end again and again');
      }
      this.starts += 1;
      this.folder ??= installPeer(this.peer, this.tarballs);
      this.group = await (this.peer.start ?? startGroup)(this.peer, this.folder, this.temporary);
      return true;
    } catch (error) {
      this.giveUp('all', error);
      return false;
    }
  }

  /** Measures one thing, unless that has failed before. The warm-up is a measurement that is not kept. */
  async measure(id, take, isKept) {
    if (this.reasons[id] || !(await this.isReady())) {
      return;
    }
    try {
      const result = await take(this.group);
      if (isKept) {
        this.results[id] ??= [];
        this.results[id].push(result);
      }
    } catch (error) {
      this.giveUp(id, error);
    }
  }

  giveUp(what, error) {
    const reason = reasonOf(error, this.temporary);
    console.log(`${this.peer.name}: not measured (${what}): ${reason}`);
    this.reasons[what] = reason;
    delete this.results[what];
  }
}

/** Gives back the contenders, with what they have measured. `idleSeconds` and `local` are for whoever wants them. */
async function measureCalls(peers, workloads, { rounds, duration, idleSeconds, local, tarballs, temporary }) {
  const contenders = peers.map(peer => new Contender(peer, tarballs, temporary));
  try {
    for (const contender of contenders) {
      await contender.isReady();
    }
    if (idleSeconds) {
      await measureIdle(contenders, idleSeconds);
    }
    // The first round only warms up.
    for (let round = 0; round <= rounds; round++) {
      const turns = turnsOf(contenders, round);
      for (const workload of workloads) {
        for (const contender of turns.filter(({ peer }) => canDo(peer, workload))) {
          await contender.measure(workload.id, group => group.measure(workload, { duration }), round > 0);
        }
      }
      console.log(round === 0 ? 'warmed up' : `round ${round} of ${rounds}`);
    }
    // Both sides are one tight loop in one process: turns of its own are enough.
    for (const contender of local ? contenders.filter(({ peer }) => peer.hasLocal) : []) {
      await contender.measure('local', group => group.ask({ local: LOCAL }, 60_000), true);
    }
  } finally {
    await Promise.all(contenders.map(({ group }) => group?.stop()));
  }
  return contenders.map(({ peer, results, reasons }) => ({ peer, results, reasons }));
}

function canDo(peer, workload) {
  const { without, only = [workload.id] } = peer;
  const { peers = [peer.id] } = workload;
  return !without.includes(workload.id) && only.includes(workload.id) && peers.includes(peer.id);
}

/** All of them at once have nothing to do. Percent of one processor; of the workers, the mean. */
async function measureIdle(contenders, seconds) {
  const running = contenders.filter(({ group }) => group?.isAlive && group.pids.length > 0);
  // What starting leaves behind is over by then: V8 collects its garbage late, in steps, for some 20 s.
  await delay(25_000);
  const pids = running.flatMap(({ group }) => group.pids);
  const before = pids.map(pid => cpuOf([pid]));
  const began = performance.now();
  await delay(seconds * 1000);
  const elapsed = (performance.now() - began) * 1000;
  const percent = pids.map((pid, i) => ((cpuOf([pid]) - before[i]) / elapsed) * 100);
  for (const { group, results } of running) {
    const own = percent.splice(0, group.pids.length);
    const workers = own.slice(-group.workers);
    results.idle = [{ primary: own[0], worker: workers.reduce((sum, each) => sum + each, 0) / workers.length }];
  }
}

module.exports = { measureCalls };
