// One process of the soak: an engine without Midway. The primary answers; a worker makes calls without end, so many at
// once, and asks the broker for something now and then.
const { bareEngine, silentLogger } = require('../bare-engine');

const { concurrency, ...options } = JSON.parse(process.env.SOAK_MEMBER);
const tell = message => process.connected && process.send(message);
/** How often (ms) a worker asks all members, publishes, and reads the group's metrics. */
const BROKER = 1000;
const RSS = 1000;
/** Of so many calls one has a value that JSON can't hold, and of so many one that is large. */
const STRUCTURED = 50;
const LARGE = 2000;

const counts = { made: 0, answered: 0, ran: 0, asked: 0 };
/** What was seen lately, one a second. */
const rss = [];
let stopping = false;

function wrong(what) {
  tell({ type: 'wrong', what });
}

const engine = bareEngine(options, {
  invoke(name, [value]) {
    counts.ran += name === 'echo' ? 1 : 0;
    return value;
  },
  logger: {
    ...silentLogger,
    warn: message => wrong(`a warning: ${message}`),
    error: (message, error) => wrong(`an error: ${message} ${error?.stack ?? ''}`),
  },
});

function sentBy(n) {
  if (n % LARGE === 0) {
    return { n, bytes: Buffer.alloc(100_000, n), text: 'é'.repeat(20_000) };
  }
  if (n % STRUCTURED === 0) {
    return { n, at: new Date(n), counts: new Map([['a', n]]), nothing: undefined };
  }
  return { n, name: 'a small value', tags: ['a', 'b'], nested: { list: [1, null, true] } };
}

async function callOnAndOn() {
  while (!stopping) {
    const n = ++counts.made;
    try {
      const back = await engine.call('echo', [sentBy(n)]);
      if (back.n !== n || (back.bytes && (back.bytes.length !== 100_000 || back.text.length !== 20_000))) {
        wrong(`call ${n} has another answer: ${back.n}`);
      }
      counts.answered++;
    } catch (error) {
      wrong(`call ${n}: ${error.code} ${error.message}`);
    }
  }
}

async function askBrokerOnAndOn() {
  while (!stopping) {
    try {
      const outcomes = await engine.gather('pid', [1], { timeout: 20_000, own: () => 1 });
      if (outcomes.some(({ status }) => status !== 'fulfilled')) {
        wrong(`a gather: ${JSON.stringify(outcomes)}`);
      }
      await engine.publish('news', { at: Date.now() });
      await engine.scrape({ format: 'text', memberLabel: false, timeout: 20_000 });
      counts.asked += 3;
    } catch (error) {
      wrong(`of the broker: ${error.code} ${error.message}`);
    }
    await new Promise(resolve => setTimeout(resolve, BROKER));
  }
}

const commands = {
  async load() {
    const work = Array.from({ length: concurrency }, callOnAndOn);
    await Promise.all([...work, askBrokerOnAndOn()]);
    tell({ type: 'ended', counts });
  },
  measure() {
    tell({ type: 'measured', counts, rss: rss.splice(0) });
  },
  end() {
    stopping = true;
  },
  async stop() {
    await engine.handOver();
    await engine.drained();
    await engine.close();
    process.disconnect();
  },
};

setInterval(() => rss.push(process.memoryUsage.rss()), RSS).unref();
process.on('message', ({ command }) => {
  commands[command]()?.catch(error => wrong(`${command}: ${error.stack}`));
});
engine.start().then(
  () => {
    engine.markReady();
    tell({ type: 'started', role: engine.role });
  },
  error => wrong(`it could not start: ${error.code} ${error.message}`),
);
