// Very many processes of one group start, elect, answer, and stop; prints how long each of it takes.
//   npm run scale
//   SCALE_PROCESSES=64 npm run scale
// Ends by itself, at the latest after 180 s. Exit code 1 when something is not as it should be.
const { fork } = require('node:child_process');
const fs = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { now, delay } = require('./chaos/clock');
const { setup } = require('./setup');

const count = Number(process.env.SCALE_PROCESSES ?? 256);
const AT_THE_LATEST = 180_000;
/** How long (ms) a start and a gather may take here: every process needs its share of the same few cores. */
const CONFIG = { readyTimeout: 90_000 };
const GATHER_TIMEOUT = 20_000;

const all = [];
const wrong = [];

function startOne(runtimeDir) {
  const child = fork(path.join(__dirname, 'scale', 'member.js'), {
    env: { ...process.env, SCALE_MEMBER: JSON.stringify({ group: 'scale', runtimeDir, config: CONFIG }) },
    // Less memory and fewer threads for each: they have little to do.
    execArgv: ['--max-semi-space-size=1', '--v8-pool-size=1'],
  });
  const member = { child, pid: child.pid, started: undefined, heard: 0, elected: [], exit: undefined };
  child.on('message', message => {
    switch (message.type) {
      case 'started':
        member.started = { ...message, at: now() };
        break;
      case 'elected':
        member.elected.push(message.epoch);
        break;
      case 'heard':
        member.heard++;
        break;
      case 'failed':
        wrong.push(`pid ${member.pid}: ${message.error}`);
        break;
      case 'result':
        member.settle?.(message);
        break;
    }
  });
  child.on('error', () => {});
  child.once('exit', (code, signal) => {
    member.exit = { code, signal };
    if (code !== 0) {
      wrong.push(`pid ${member.pid} has ended with ${code ?? signal}`);
    }
  });
  all.push(member);
}

async function ask(member, command, ...args) {
  const { value, error } = await new Promise(resolve => {
    member.settle = resolve;
    member.child.send({ command, args });
  });
  if (error) {
    wrong.push(`pid ${member.pid}: ${error}`);
  }
  return value;
}

/** Does it, and says how long it took. */
async function step(what, act) {
  const began = now();
  const result = await act();
  console.log(`${what.padEnd(44)} ${String(Math.round(now() - began)).padStart(7)} ms${result ? `   ${result}` : ''}`);
}

async function until(is) {
  while (!all.every(member => is(member) || member.exit)) {
    await delay(5);
  }
}

function expectCount(what, is, should = count) {
  if (is !== should) {
    wrong.push(`${what}: ${is} instead of ${should}`);
  }
  return `${is} ${what}`;
}

async function scale(runtimeDir) {
  await step(`${count} processes start and elect`, async () => {
    for (let i = 0; i < count; i++) {
      startOne(runtimeDir);
    }
    await until(({ started }) => started);
    const elected = all.flatMap(each => each.elected);
    return expectCount('election(s)', elected.length, 1);
  });
  expectCount('primaries', all.filter(each => each.started?.role === 'primary').length, 1);
  expectCount('epochs', new Set(all.map(each => each.started?.epoch)).size, 1);
  const worker = all.find(each => each.started?.role === 'worker');
  const pids = new Set(all.map(each => each.pid));
  await step('members()', async () => {
    const members = await ask(worker, 'members');
    return expectCount('members', members.filter(({ pid, state }) => pids.has(pid) && state === 'ready').length);
  });
  await step('a call from each, all at once', async () => {
    const answers = await Promise.all(all.map(each => ask(each, 'call')));
    expectCount('processes that answered', new Set(answers).size, 1);
    return expectCount('answers', answers.filter(Boolean).length);
  });
  for (const time of ['a gather', 'another gather']) {
    await step(time, async () => {
      const outcomes = await ask(worker, 'gather', GATHER_TIMEOUT);
      if (!outcomes) {
        return 'this engine has none';
      }
      const right = outcomes.filter(({ status, value, member }) => status === 'fulfilled' && value === member.pid);
      return expectCount('fulfilled outcomes', new Set(right.map(({ value }) => value)).size);
    });
  }
  await step('a publication that reaches all', async () => {
    if (!(await ask(worker, 'publish', 'x'))) {
      return 'this engine has none';
    }
    // It resolves when it was passed on; the ends are reached a moment later.
    const end = now() + 10_000;
    while (all.some(({ heard }) => heard === 0) && now() < end) {
      await delay(5);
    }
    return expectCount('have heard it', all.filter(({ heard }) => heard === 1).length);
  });
  console.log(`memory of all, shared parts counted once: ${memory()}`);
  await step('all stop at once', async () => {
    for (const { child } of all) {
      child.send({ command: 'stop', args: [] });
    }
    await until(({ exit }) => exit);
    return expectCount('have ended', all.filter(({ exit }) => exit.code === 0).length);
  });
  const elected = all.flatMap(each => each.elected).length;
  console.log(`elections, all in all: ${elected}`);
  const left = fs.readdirSync(runtimeDir, { recursive: true }).map(name => path.basename(String(name)));
  const files = left.filter(name => !name.startsWith('scale-'));
  if (files.some(name => name !== 'lock')) {
    wrong.push(`files are left: ${files.join(', ')}`);
  }
}

/** The proportional share of each process, summed up. */
function memory() {
  try {
    const kB = all.map(({ pid }) => Number(/^Pss: +(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`))[1]));
    return `${Math.round(kB.reduce((sum, each) => sum + each, 0) / 1024)} MB`;
  } catch {
    return 'not known on this platform';
  }
}

function killAll() {
  for (const { child, exit } of all) {
    if (!exit) {
      child.kill('SIGKILL');
    }
  }
}

async function main() {
  setup();
  // Short: the group's socket lies below it.
  const runtimeDir = fs.mkdtempSync(path.join(tmpdir(), 'scale-'));
  process.on('exit', () => {
    killAll();
    fs.rmSync(runtimeDir, { recursive: true, force: true });
  });
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => process.exit(1));
  }
  const watchdog = setTimeout(() => {
    const started = all.filter(each => each.started).length;
    const ended = all.filter(each => each.exit).length;
    console.log(`not at its end after ${AT_THE_LATEST} ms: ${started} have started, ${ended} have ended`);
    console.log(wrong.slice(0, 10).join('\n'));
    process.exit(1);
  }, AT_THE_LATEST);
  await scale(runtimeDir);
  clearTimeout(watchdog);
  console.log(wrong.length === 0 ? 'All as it should be.' : `Wrong:\n${wrong.slice(0, 20).join('\n')}`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}

main().catch(error => {
  console.log(error);
  process.exit(1);
});
