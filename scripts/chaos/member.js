// One process of the chaos test: an engine, without Midway, under a load that it makes itself. Its parent tells it what
// to do and when to end; SIGTERM stops it as a process manager would.
const { bareEngine, silentLogger } = require('../bare-engine');
const { atMost, delay, now, Stalls } = require('./clock');
const { Journal } = require('./journal');
const { GATHER, Load } = require('./load');
const { Methods } = require('./methods');
const { Random } = require('./random');

const { number, file, seed, ...options } = JSON.parse(process.env.CHAOS_MEMBER);
const journal = new Journal(file);
const methods = new Methods(journal, number);
const stalls = new Stalls();
const tell = message => process.connected && process.send(message);
const broken = what => journal.now({ is: 'broken', what, at: now() });

/** The last publication that was heard of each member. */
const heard = new Map();
const log = level => (message, error) => console.log(level, now().toFixed(1), message, error ?? '');

const host = {
  // An account of each call is kept in every other member only: both ways must hold.
  wantsInvocations: number % 2 === 0,
  invoke: (name, args, invocation) => methods.run(name, args, invocation?.epoch ?? engine.epoch, false),
  deliver(topic, data, from) {
    const { publisher, n, pid } = data();
    heard.set(publisher, n);
    journal.soon({ is: 'heard', publisher, n, right: topic === 'news' && from.pid === pid });
  },
  async takeOver(state, epoch) {
    journal.now({ is: 'taking', epoch, from: state?.epoch, at: now() });
    await delay(number % 3 === 0 ? 20 : 0);
    journal.now({ is: 'taken', epoch, at: now() });
  },
  giveUp() {
    journal.now({ is: 'gave', epoch: engine.epoch, at: now() });
    return { epoch: engine.epoch };
  },
  logger: {
    ...silentLogger,
    info: log('info'),
    warn: log('warn'),
    // Nothing of this fixture fails, so whatever the engine calls an error is one of its own, but for the disk.
    error(message, error) {
      const what = `it has logged an error: ${message} ${error?.stack ?? ''}`;
      if (/No space left on device/.test(what)) {
        journal.now({ is: 'full', what, at: now() });
      } else {
        broken(what);
      }
    },
  },
};

const engine = bareEngine(options, host);
const load = new Load({ engine, journal, methods, number, random: new Random(seed), stalls });
engine.events.on('primary', ({ epoch }) => {
  journal.now({ is: 'primary', epoch, at: now() });
  tell({ type: 'primary', epoch });
});
engine.events.on('worker', ({ epoch }) => journal.now({ is: 'worker', epoch, at: now() }));

const commands = {
  block({ ms }) {
    const until = now() + ms;
    while (now() < until) {}
  },
  ask() {
    load.gather({ ...GATHER, ms: 100 });
    load.scrape();
  },
  feast({ ms }) {
    load.feast(ms);
  },
  /** Makes no more calls, and waits for those that are pending. */
  async quiet() {
    load.stop();
    await load.quiet();
    tell({ type: 'quiet' });
  },
  /** After the chaos the group must be whole again: everybody is there, and everybody is heard by everybody. */
  async whole({ members }) {
    const there = await engine.members();
    if (there.length !== members) {
      broken(`after the chaos members() gives ${there.length} of ${members}`);
    }
    const answers = await load.gather();
    if (answers && answers.outcomes.filter(({ status }) => status === 'fulfilled').length !== members) {
      broken(`after the chaos a gather gives ${JSON.stringify(answers)} of ${members}`);
    }
    const before = new Map(heard);
    // Nobody publishes before everybody has noted what it has heard.
    tell({ type: 'counted' });
    await new Promise(resolve => {
      commands.publish = resolve;
    });
    await load.publish();
    const others = () => [...heard].filter(([publisher, n]) => n !== before.get(publisher)).length;
    for (let waited = 0; engine.publish && others() < members && waited < 3000; waited += 10) {
      await delay(10);
    }
    if (engine.publish && others() < members) {
      broken(`after the chaos publications of ${others()} of ${members} members are heard`);
    }
    tell({ type: 'whole' });
  },
  stop,
};

let stopping = false;
async function stop() {
  if (stopping) {
    return;
  }
  stopping = true;
  // Requests that came before go on making calls while the primary's role is handed over.
  await engine.handOver();
  load.stop();
  await engine.drained?.();
  await engine.close();
  // close() has ended whatever was left, so this is a matter of a turn; what runs here may take a moment longer.
  await atMost(3000, load.quiet());
  journal.now({ is: 'end', pending: load.pending, at: now() });
  stalls.stop();
  process.exit(0);
}

process.on('SIGTERM', stop);
process.on('message', message => {
  Promise.resolve(commands[message.type](message)).catch(error => {
    broken(`${message.type}: ${error.stack}`);
    process.exit(1);
  });
});
// Nobody is left to end it.
process.on('disconnect', () => process.exit(1));

journal.now({ is: 'begin', member: number, pid: process.pid, at: now() });
engine.start().then(
  () => {
    engine.markReady();
    tell({ type: 'started' });
    if (!stopping) {
      load.start();
    }
  },
  error => {
    if (!stopping) {
      broken(`could not start: ${error.code} ${error.message}`);
      process.exit(1);
    }
  },
);
