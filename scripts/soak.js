// One primary and 4 workers at full load for some minutes: each minute what every process holds, and how many calls were
// made and answered.
//   npm run soak
//   SOAK_MINUTES=2 npm run soak
// Exit code 1 when a call was lost, something else was not as it should be, or a process has grown since the end of its
// second minute (of a shorter run: since the middle) by more than 32 MB and a tenth. Ends by itself, at the latest a minute
// after its time.
const { fork } = require('node:child_process');
const fs = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { atMost, delay } = require('./chaos/clock');
const { setup } = require('./setup');

const minutes = Number(process.env.SOAK_MINUTES ?? 10);
const WORKERS = 4;
const CONCURRENCY = 64;
const MINUTE = 60_000;
/** What a heap may be larger by, at another moment of its collection. */
const bound = before => before * 1.1 + 32 * 2 ** 20;
const AT_THE_LATEST = minutes * MINUTE + MINUTE;

const all = [];
const wrong = [];

function startOne(runtimeDir) {
  const options = { group: 'soak', runtimeDir, concurrency: CONCURRENCY };
  const child = fork(path.join(__dirname, 'soak', 'member.js'), {
    env: { ...process.env, SOAK_MEMBER: JSON.stringify(options) },
    serialization: 'advanced',
  });
  const member = { child, pid: child.pid, told: {}, rss: [], counts: {} };
  child.on('message', message => {
    if (message.type === 'wrong') {
      wrong.push(`pid ${member.pid}: ${message.what}`);
    }
    member.told[message.type] = message;
    member.counts = message.counts ?? member.counts;
    member.heard?.();
  });
  child.on('error', () => {});
  member.exited = new Promise(resolve => {
    child.once('exit', (code, signal) => {
      member.exit = { code, signal };
      member.heard?.();
      if (code !== 0) {
        wrong.push(`pid ${member.pid} has ended with ${code ?? signal}`);
      }
      resolve();
    });
  });
  all.push(member);
  return member;
}

/** Waits until a member tells something of a type, or ends. */
async function until(member, type) {
  while (!member.told[type] && !member.exit) {
    await new Promise(resolve => {
      member.heard = resolve;
    });
  }
  const message = member.told[type];
  delete member.told[type];
  return message ?? {};
}

function send(member, command) {
  if (member.child.connected) {
    member.child.send({ command }, () => {});
  }
}

/** The median of what each holds, since it was asked last. */
async function measure() {
  for (const member of all) {
    send(member, 'measure');
    const { rss = [] } = await until(member, 'measured');
    member.rss.push(rss.sort((a, b) => a - b)[Math.floor(rss.length / 2)] ?? Number.NaN);
  }
}

const sum = what => all.reduce((total, { counts }) => total + (counts[what] ?? 0), 0);
const number = value => value.toLocaleString('en');

function line(minute) {
  const cells = all.map(({ rss }) => `${(rss.at(-1) / 2 ** 20).toFixed(1)}`.padStart(10));
  console.log(
    `${minute.padEnd(8)}${cells.join('')}${number(sum('made')).padStart(14)}${number(sum('answered')).padStart(14)}`,
  );
}

async function soak(runtimeDir) {
  const primary = startOne(runtimeDir);
  await until(primary, 'started');
  const workers = Array.from({ length: WORKERS }, () => startOne(runtimeDir));
  for (const worker of workers) {
    await until(worker, 'started');
  }
  const heads = ['primary', ...workers.map((_, i) => `worker ${i + 1}`)].map(each => each.padStart(10)).join('');
  console.log(
    `${WORKERS} workers, ${CONCURRENCY} calls each at once, for ${minutes} min; RSS (median of the time) in MB`,
  );
  console.log(`${''.padEnd(8)}${heads}${'made'.padStart(14)}${'answered'.padStart(14)}`);
  for (const worker of workers) {
    send(worker, 'load');
  }
  // A shorter run is cut in four.
  const steps = Math.max(4, Math.round(minutes));
  for (let step = 1; step <= steps; step++) {
    await delay((minutes * MINUTE) / steps);
    await measure();
    line(`${((minutes * step) / steps).toFixed(1)} min`);
  }
  for (const worker of workers) {
    send(worker, 'end');
    worker.ended = until(worker, 'ended');
  }
  await atMost(MINUTE / 2, Promise.all(workers.map(({ ended }) => ended)));
  await measure();
  judge(steps <= 4 ? Math.floor(steps / 2) : 2, steps);
  await stopAll(workers, primary);
}

/** Compares the time until the `since`th measurement with the last one under load. */
function judge(since, last) {
  const [made, answered, ran] = ['made', 'answered', 'ran'].map(sum);
  console.log(
    `made ${number(made)}, answered ${number(answered)}, ran ${number(ran)}; of the broker ${number(sum('asked'))}`,
  );
  if (made === 0 || answered !== made || ran !== made) {
    wrong.push(`${made} calls were made, ${ran} have run, and ${answered} were answered`);
  }
  all.forEach(({ pid, rss }, i) => {
    const [before, after] = [rss[since - 1], rss[last - 1]];
    if (!(after <= bound(before))) {
      const text = [before, after].map(bytes => (bytes / 2 ** 20).toFixed(1)).join(' to ');
      wrong.push(`${i === 0 ? 'the primary' : `worker ${i}`}, pid ${pid}, has grown from ${text} MB`);
    }
  });
}

async function stopAll(workers, primary) {
  for (const member of [...workers, primary]) {
    send(member, 'stop');
  }
  await atMost(MINUTE / 4, Promise.all(all.map(({ exited }) => exited)));
  wrong.push(...all.filter(({ exit }) => !exit).map(({ pid }) => `pid ${pid} does not stop`));
}

async function main() {
  setup();
  // Short: the group's socket lies below it.
  const runtimeDir = fs.mkdtempSync(path.join(tmpdir(), 'soak-'));
  process.on('exit', () => {
    for (const { child, exit } of all) {
      if (!exit) {
        child.kill('SIGKILL');
      }
    }
    fs.rmSync(runtimeDir, { recursive: true, force: true });
  });
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => process.exit(1));
  }
  const watchdog = setTimeout(() => {
    console.log(`not at its end after ${AT_THE_LATEST} ms\n${wrong.slice(0, 20).join('\n')}`);
    process.exit(1);
  }, AT_THE_LATEST);
  await soak(runtimeDir);
  clearTimeout(watchdog);
  console.log(wrong.length === 0 ? 'All as it should be.' : `Wrong:\n${wrong.slice(0, 20).join('\n')}`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}

if (minutes > 0) {
  main().catch(error => {
    console.log(error);
    process.exit(1);
  });
} else {
  console.log('SOAK_MINUTES is a number above 0');
  process.exitCode = 1;
}
