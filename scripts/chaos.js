// 8 processes of one group under a constant load of calls, while their primaries are killed, stopped, frozen and stuck at
// random, one of them gets 15 % of a CPU, the clock is stepped, and the disk is full. At the end every call must have had
// exactly one outcome, and nothing may have run that should not have.
//   npm run chaos
//   CHAOS_SECONDS=8 CHAOS_SEED=1 CHAOS_EVENTS=kill,stop npm run chaos
// What can't be done on this machine is left out, with the reason. Ends by itself, at the latest 45 s after its time. Exit code 1 with any violation; the journals are kept then, and with
// CHAOS_KEEP=1.
const fs = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { check } = require('./chaos/checks');
const { Conductor, EVENTS } = require('./chaos/conductor');
const { count, listViolations, table } = require('./chaos/table');
const { WallClock, Disk, Starvation } = require('./chaos/host');
const { setup } = require('./setup');

const seconds = Number(process.env.CHAOS_SECONDS ?? 60);
const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 1_000_000);
const wanted = process.env.CHAOS_EVENTS?.split(',') ?? EVENTS;
/** ms after its time at which it ends, whatever is under way. */
const AT_THE_LATEST = 44_000;

async function chaos() {
  setup();
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'chaos-'));
  const { events, host } = prepare(folder);
  const conductor = new Conductor({ seconds, seed, events, folder, host });
  const end = why => {
    console.log(`chaos has been ended: ${why}; journals: ${folder}`);
    process.exit(1);
  };
  process.on('exit', () => {
    conductor.killAll();
    host.starvation?.remove();
    host.disk?.end();
  });
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, end);
  }
  const watchdog = setTimeout(end, seconds * 1000 + AT_THE_LATEST, 'it took too long');
  console.log(`chaos for ${seconds} s, seed ${seed}, events ${events.join(', ')}`);
  await conductor.run();
  const members = conductor.journals();
  const { violations, calls } = check(members, { events });
  violations.unshift(...conductor.violations);
  console.log(table(count(members, calls, conductor.deeds)).join('\n'));
  console.log(listViolations(violations).join('\n'));
  process.exitCode = violations.length > 0 ? 1 : 0;
  if (violations.length > 0 || process.env.CHAOS_KEEP) {
    console.log(`journals: ${folder}`);
  } else {
    host.disk?.end();
    fs.rmSync(folder, { recursive: true });
  }
  clearTimeout(watchdog);
}

/** What it takes for the events that are wanted; those that this machine can't have are left out. */
function prepare(folder) {
  const host = {};
  const makers = {
    starve() {
      host.starvation = new Starvation(path.basename(folder));
      console.log(`starve: 15 % of a CPU, by ${host.starvation.how}`);
    },
    clock() {
      host.clock = new WallClock(folder);
    },
    disk() {
      host.disk = new Disk(folder);
    },
  };
  const events = wanted.filter(event => {
    try {
      makers[event]?.();
      return true;
    } catch (error) {
      console.log(`${event}: skipped: ${error.message}`);
      return false;
    }
  });
  if (events.length === 0) {
    throw new Error('nothing of what is wanted can be done here');
  }
  return { events, host };
}

const unknown = wanted.filter(event => !EVENTS.includes(event));
if (!(seconds > 0) || !Number.isInteger(seed) || unknown.length > 0) {
  console.log(`CHAOS_SECONDS and CHAOS_SEED are numbers, CHAOS_EVENTS a list of ${EVENTS.join(', ')}`);
  process.exitCode = 1;
} else {
  chaos().catch(error => {
    console.log(error);
    process.exit(1);
  });
}
