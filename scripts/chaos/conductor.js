/** Starts the processes of a chaos test, does to them what can happen to processes, and ends every one of them. */
const { fork } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { atMost, delay, now } = require('./clock');
const { STEPS } = require('./host');
const { readJournal } = require('./journal');
const { Random } = require('./random');

const EVENTS = ['kill', 'stop', 'freeze', 'stuck', 'starve', 'clock', 'disk'];
/** What happens to the host, and so to all processes at once. */
const OF_HOST = new Set(['clock', 'disk']);
/** Where nothing freezes a process, whoever finds one frozen is wrong, and kills it. */
const configFor = events => ({
  readyTimeout: 12_000,
  stopTimeout: 1_200,
  // Less than the answers to the gathers that a starved member makes at once.
  maxPendingBytes: 32 * 1024 * 1024,
  primary: { maxBlocked: 1_000, onFrozen: events.includes('freeze') ? 'wait' : 'kill' },
});
/** At most so many of them are frozen, stuck or stopping at once: the others keep up the load. */
const MAX_DISTURBED = 3;
/** Bounds (ms) of what comes after the chaos; together, with the checks, less than 45 s. */
const BOUNDS = { start: 9_000, quiet: 14_000, whole: 7_000, stop: 8_000 };

class Conductor {
  /** What went wrong that no journal can tell. */
  violations = [];
  deeds = {};
  #all = [];
  #number = 0;
  #ending = false;
  #random;
  /** Somebody has been given little of a CPU, or the disk is full. */
  #isStarving = false;
  #isFull = false;

  /** `folder`: for journals and logs; short, as the group's socket lies below it. `host`: what it takes for some events. */
  constructor({ processes = 8, seconds, seed, events = EVENTS, folder, host = {} }) {
    Object.assign(this, { processes, seconds, seed, events, folder, host });
    this.runtimeDir = host.disk?.folder ?? folder;
    this.#random = new Random(seed);
    for (const event of events) {
      this.deeds[PLURALS[event]] = 0;
      if (!OF_HOST.has(event)) {
        this.deeds[`  ${PLURALS[event]} of the primary`] = 0;
      }
    }
  }

  /** Resolves when every process has ended. */
  async run() {
    try {
      for (let i = 0; i < this.processes; i++) {
        this.#start();
      }
      await this.#allStarted();
      const end = now() + this.seconds * 1000;
      while (now() < end) {
        await delay(Math.min(this.#random.between(150, 1200), Math.max(0, end - now())));
        if (now() < end) {
          this.#disturb();
        }
      }
      await this.#calmDown();
    } finally {
      await this.#endAll();
    }
    this.#checkFolder();
  }

  /** For `check()`. */
  journals() {
    return this.#all.map(({ number, pid, killed, killedAt, calm, troubles, file }) => {
      return { number, pid, killed, killedAt, calm: calm && !killed, troubles, records: readJournal(file) };
    });
  }

  /** At once, whatever is under way: for a process that has to end. */
  killAll() {
    this.#ending = true;
    for (const member of this.#all) {
      this.#kill(member);
    }
  }

  #start() {
    const number = ++this.#number;
    const file = path.join(this.folder, `${number}.jsonl`);
    const output = fs.openSync(path.join(this.folder, `${number}.log`), 'a');
    const { runtimeDir } = this;
    const config = configFor(this.events);
    const options = { number, file, seed: this.seed + number, group: 'chaos', runtimeDir, config };
    const child = fork(path.join(__dirname, 'member.js'), {
      env: { ...process.env, ...this.host.clock?.env, CHAOS_MEMBER: JSON.stringify(options) },
      execArgv: [],
      stdio: ['ignore', output, output, 'ipc'],
    });
    fs.closeSync(output);
    const member = { number, file, child, pid: child.pid, epoch: 0, said: new Set() };
    Object.assign(member, { killed: false, calm: true, busy: false, gone: false, troubles: [] });
    member.exited = new Promise(resolve => {
      child.once('exit', (code, signal) => {
        member.gone = true;
        this.#note('exit', member, { code, signal });
        if (!member.killed && code !== 0) {
          this.violations.push({ what: 'a process has ended by itself', detail: { number, code, signal } });
        }
        if (!this.#ending) {
          this.#start();
        }
        resolve();
      });
    });
    child.on('message', ({ type, epoch }) => {
      member.said.add(type);
      if (type === 'primary') {
        member.epoch = epoch;
      }
    });
    // A message to a process that has just died.
    child.on('error', () => {});
    this.#all.push(member);
    this.#note('start', member);
  }

  get #living() {
    return this.#all.filter(each => !each.gone);
  }

  #disturb() {
    const living = this.#living.filter(each => !each.busy && each.said.has('started'));
    const primary = this.#living.reduce((most, each) => (each.epoch > (most?.epoch ?? 0) ? each : most), undefined);
    const event = this.#random.pick(this.events);
    if (OF_HOST.has(event)) {
      this.#disturbHost(event);
      return;
    }
    const ofPrimary = this.#random.chance(0.65);
    const ms = this.#random.between(500, 4000);
    const target = ofPrimary ? primary : this.#random.pick(living.filter(each => each !== primary));
    const disturbed = this.#living.filter(each => each.busy).length;
    // Only death can come to whom something is happening already.
    if (!target || (event !== 'kill' && (target.busy || disturbed >= MAX_DISTURBED))) {
      return;
    }
    if (event === 'starve' && this.#isStarving) {
      return;
    }
    this.deeds[PLURALS[event]]++;
    if (target === primary) {
      this.deeds[`  ${PLURALS[event]} of the primary`]++;
    }
    this.#note(event, target, { primary: target === primary, ms });
    target.calm &&= event === 'stop';
    switch (event) {
      case 'kill':
        this.#kill(target);
        break;
      case 'stop':
        this.#stop(target);
        break;
      case 'freeze':
        this.#freeze(target, ms);
        break;
      case 'stuck':
        this.#send(target, { type: 'block', ms });
        this.#busyFor(target, ms, event);
        break;
      case 'starve':
        this.#starve(target, ms);
        break;
    }
  }

  #disturbHost(event) {
    const step = this.#random.pick(STEPS);
    const ms = this.#random.between(500, 4000);
    if (event === 'disk' && this.#isFull) {
      return;
    }
    if (event === 'clock') {
      this.#stepClock(step);
    } else {
      this.deeds[PLURALS[event]]++;
      this.#note(event, {}, { ms });
      this.#fillDisk(ms);
    }
  }

  /** In the middle of what has a deadline. */
  async #stepClock(step) {
    this.deeds[PLURALS.clock]++;
    this.#note('clock', {}, { step });
    for (const each of this.#living) {
      this.#send(each, { type: 'ask' });
    }
    await delay(20);
    this.host.clock.step(step);
  }

  async #fillDisk(ms) {
    this.#isFull = true;
    this.host.disk.fill();
    await delay(ms);
    this.host.disk.free();
    this.#isFull = false;
  }

  #kill(member) {
    if (!member.gone) {
      member.killed = true;
      member.killedAt ??= now();
      member.troubles.push({ what: 'kill', from: member.killedAt, to: Infinity });
      member.child.kill('SIGKILL');
    }
  }

  async #stop(member) {
    member.busy = true;
    member.troubles.push({ what: 'stop', from: now(), to: Infinity });
    member.child.kill('SIGTERM');
    if (this.host.clock && this.#random.chance(0.5)) {
      this.#stepClock(this.#random.pick(STEPS));
    }
    await this.#mustExit(member);
  }

  async #mustExit(member) {
    await atMost(BOUNDS.stop, member.exited);
    if (!member.gone && !member.killed) {
      this.violations.push({ what: `a process has not stopped in ${BOUNDS.stop} ms`, detail: nameOf(member) });
      this.#kill(member);
    }
  }

  async #freeze(member, ms) {
    member.child.kill('SIGSTOP');
    await this.#busyFor(member, ms, 'freeze');
    member.child.kill('SIGCONT');
  }

  /** It has little of a CPU, and asks all members for more than it is given in time. */
  async #starve(member, ms) {
    const { starvation } = this.host;
    this.#isStarving = true;
    this.#send(member, { type: 'feast', ms });
    starvation.begin(member.child);
    await this.#busyFor(member, ms, 'starve');
    starvation.end(member.child);
    this.#isStarving = false;
  }

  async #busyFor(member, ms, what) {
    const trouble = { what, from: now(), to: Infinity };
    member.busy = true;
    member.troubles.push(trouble);
    await atMost(ms, member.exited);
    trouble.to = now();
    member.busy = false;
  }

  /** The load ends, what is pending ends, and the group is whole. */
  async #calmDown() {
    await this.#until(BOUNDS.start, 'idle', each => !each.busy && !this.#isFull);
    await this.#allStarted();
    const members = this.#living.length;
    for (const step of ['quiet', 'whole']) {
      for (const each of this.#living) {
        this.#send(each, { type: step, members });
      }
      if (step === 'whole') {
        await this.#until(BOUNDS.whole, 'counted', each => each.said.has('counted'));
        for (const each of this.#living) {
          this.#send(each, { type: 'publish' });
        }
      }
      await this.#until(BOUNDS[step], step, each => each.said.has(step));
    }
  }

  #allStarted() {
    return this.#until(BOUNDS.start, 'started', each => each.said.has('started'));
  }

  async #until(ms, what, is) {
    const end = now() + ms;
    // Who is killed and not gone yet will be replaced by somebody who has all of it before him.
    while (!this.#living.every(each => !each.killed && is(each))) {
      if (now() > end) {
        const missing = this.#living.filter(each => !is(each)).map(nameOf);
        this.violations.push({ what: `not ${what} after ${ms} ms`, detail: missing });
        return;
      }
      await delay(10);
    }
  }

  /** All stop at once, as an application does; who does not is killed. */
  async #endAll() {
    this.#ending = true;
    for (const each of this.#living) {
      each.child.kill('SIGCONT');
      this.#send(each, { type: 'stop' });
    }
    await Promise.all(this.#living.map(each => this.#mustExit(each)));
    await Promise.all(this.#all.map(each => each.exited));
  }

  /** All have left: what stands there under the name of an unfinished file, nobody is ever going to read. */
  #checkFolder() {
    const left = fs.readdirSync(this.runtimeDir, { recursive: true }).map(String);
    const unfinished = left.filter(name => /\.(new|tmp)$/.test(name));
    if (unfinished.length > 0) {
      this.violations.push({ what: 'an unfinished file has been left', detail: unfinished });
    }
  }

  #send({ child }, message) {
    if (child.connected) {
      child.send(message, () => {});
    }
  }

  #note(what, member, more) {
    const line = { at: Math.round(now()), what, ...nameOf(member), ...more };
    fs.appendFileSync(path.join(this.folder, 'events.jsonl'), `${JSON.stringify(line)}\n`);
  }
}

const PLURALS = {
  kill: 'kills',
  stop: 'stops',
  freeze: 'freezes',
  stuck: 'stucks',
  starve: 'starvations',
  clock: 'clock steps',
  disk: 'full disks',
};

function nameOf({ number, pid }) {
  return { number, pid };
}

module.exports = { Conductor, EVENTS };
