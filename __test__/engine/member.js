// One process with an engine of its own, without Midway: it joins the group that it is told, answers calls when it is
// primary, and tells its parent what happens to it. Times are of the monotonic clock that all processes share.
const { ProcessAgentError } = require('../../dist/errors');
const { AsyncLocalStorage } = require('node:async_hooks');
const { loadBinding } = require('../../dist/native');
const { bareEngine } = require('../../scripts/bare-engine');
const { setClock } = require('../support/wall-clock');

/** The invocation of the method that runs. */
const current = new AsyncLocalStorage();

const now = () => Number(process.hrtime.bigint()) / 1e6;
const tell = message => process.connected && process.send({ pid: process.pid, at: now(), ...message });
const { invocations = false, ...options } = JSON.parse(process.env.MEMBER);

/** A registry of its own, of the copy of prom-client that it is told. */
const metrics = process.env.MEMBER_CLIENT && makeMetrics(require(process.env.MEMBER_CLIENT));
function makeMetrics({ Registry, Counter, Gauge, Histogram }) {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    counter: new Counter({ name: 'test_total', help: 'A counter', labelNames: ['kind'], registers }),
    gauge: new Gauge({ name: 'test_level', help: 'A gauge', registers }),
    histogram: new Histogram({ name: 'test_seconds', help: 'A histogram', buckets: [1, 10], registers }),
    extra: [],
  };
}

/** Registries as a parent has them: what `getMetricsAsJSON()` has said there. */
let said = [];

const logger = Object.fromEntries(
  ['debug', 'info', 'warn', 'error'].map(level => [
    level,
    (...args) => tell({ type: 'log', level, text: String(args) }),
  ]),
);

/** What is handed over to the next primary. */
const kept = { state: undefined, taken: [], delay: 0 };

function methodOf(name) {
  if (!methods[name]) {
    throw new ProcessAgentError('ERR_AGENT_UNKNOWN_METHOD', `no method ${name}`, { outcome: 'not-sent' });
  }
  return methods[name];
}

/** What this process says of its own health. */
let checks = [{ namespace: 'test', status: true }];

const megabyte = Buffer.alloc(1024 * 1024, 7);

/** What other members can call here. */
const methods = {
  '!checks': () => ({ checks, failingSince: undefined }),
  pid: () => process.pid,
  echo: value => {
    if (value === 'answered') {
      // The reply goes out before this does.
      setImmediate(() => tell({ type: 'echoed' }));
    }
    return value;
  },
  nothing: () => undefined,
  size: value => value.length,
  megabyte: () => megabyte,
  spin: ms => {
    const until = now() + ms;
    while (now() < until) {}
  },
  spinThen: (ms, value) => {
    methods.spin(ms);
    return value;
  },
  throwValue: value => {
    throw value;
  },
  throwError: message => {
    throw Object.assign(new TypeError(message), { code: 'E_TEST', status: 418 });
  },
  callback: () => ({ inner: [() => 1] }),
  large: bytes => 'x'.repeat(bytes),
  after: (ms, value) => new Promise(resolve => setTimeout(resolve, ms, value)),
  length: (text, ms) => new Promise(resolve => setTimeout(resolve, ms, text.length)),
  /** Hangs in the process that is told, and does not exist in any other. */
  onlyIn: pid => {
    if (pid !== process.pid) {
      throw new ProcessAgentError('ERR_AGENT_UNKNOWN_METHOD', 'not here', { outcome: 'not-sent' });
    }
    return new Promise(() => {});
  },
  never: () => new Promise(() => {}),
  seen: [],
  record: value => {
    methods.seen.push(value);
    return methods.seen.length;
  },
  recorded: () => methods.seen,
  /** Says when its caller waits no longer. */
  watched: async () => {
    const { signal, member, epoch } = current.getStore();
    tell({ type: 'running', caller: member.pid, epoch });
    await new Promise(resolve => signal.addEventListener('abort', resolve));
    tell({ type: 'aborted', reason: signal.reason.code });
  },
  carrier: () => current.getStore()?.carrier,
  /** Whether nobody waits any more, a moment after it was asked. */
  isGivenUp: async () => {
    const { signal } = current.getStore();
    signal.addEventListener('abort', () => {});
    await new Promise(resolve => setTimeout(resolve, 50));
    return signal.aborted;
  },
  keep: state => {
    kept.state = state;
  },
  takenOver: () => kept.taken,
  takeOver: async (state, epoch) => {
    await new Promise(resolve => setTimeout(resolve, kept.delay));
    kept.taken.push(state === undefined ? { epoch } : { epoch, state });
    kept.state = state;
  },
  /** Counts from 0, and says how far it got. */
  async *count(to, { size = 0, failAt = Number.POSITIVE_INFINITY, every = 0 } = {}) {
    let i = 0;
    try {
      for (; i < to; i++) {
        if (i === failAt) {
          throw Object.assign(new RangeError('no further'), { code: 'E_MIDDLE' });
        }
        if (every) {
          await new Promise(resolve => setTimeout(resolve, every));
        }
        yield size ? { i, load: 'x'.repeat(size) } : i;
      }
      return 'done';
    } finally {
      tell({ type: 'generator ended', i });
    }
  },
  /** An async function that gives a stream of every kind of value. */
  mixed: async () =>
    (async function* () {
      yield* [undefined, null, new Date(5), new Map([[1, 2]]), Buffer.from('b')];
    })(),
  /** An async function that gives a stream after `ms`. */
  opensLate: async ms => {
    await new Promise(resolve => setTimeout(resolve, ms));
    return methods.count(1);
  },
  /** Gives one item, and nothing for a long time. */
  quiet: async function* () {
    yield 1;
    await new Promise(() => {});
  },
  unsendable: async function* () {
    yield 1;
    yield () => 1;
  },
};

const engine = bareEngine(options, {
  invoke: (name, args, invocation) => current.run(invocation, () => methodOf(name)(...args)),
  knows: name => name in methods,
  wantsInvocations: invocations,
  deliver: (topic, data, from) => {
    const value = data();
    // The channel to the parent is slower than what is tested.
    tell({ type: 'topic', topic, data: value.length > 1_000_000 ? value.length : value, from: from.pid });
  },
  takeOver: (state, epoch) => methods.takeOver(state, epoch),
  giveUp: () => kept.state,
  joined: () => tell({ type: 'joined', epoch: engine.epoch }),
  registries: () => (metrics ? [metrics.registry, ...metrics.extra] : said),
  logger,
});
for (const event of ['primary', 'worker', 'member-joined', 'member-left']) {
  engine.events.on(event, payload => tell({ type: event, ...payload }));
}

/** What the parent can ask for. */
const commands = {
  /** Makes `times` calls at once with `bytes` each, and says how long they arrived. */
  callLarge: (bytes, times = 1) =>
    Promise.all(Array.from({ length: times }, () => engine.call('size', [Buffer.alloc(bytes, 7)]))),
  /** The same with gathers, whose answers have `bytes` as well: the outcomes' lengths, or codes. */
  gatherLarge: async (bytes, times, timeout) => {
    const own = () => Buffer.alloc(bytes, 7);
    const gathers = Array.from({ length: times }, () =>
      engine.gather('echo', [Buffer.alloc(bytes, 7)], { timeout, own }),
    );
    const outcomes = (await Promise.all(gathers)).flat();
    return outcomes.map(({ value, reason }) => value?.length ?? reason?.code);
  },
  /** The most memory (bytes) that this process has had at one time. */
  peak: () => process.resourceUsage().maxRSS * 1024,
  markReady: () => engine.markReady(),
  role: () => ({ role: engine.role, epoch: engine.epoch }),
  members: () => engine.members(),
  explain: () => engine.explain(),
  /** How the members do, as the Rust sides see it. */
  standings: async (timeout = 5000) => {
    const standings = await engine.standings(timeout);
    return standings.map(({ member, state, since }) => ({ pid: member.pid, state, since, lagMs: member.lagMs }));
  },
  /** Gives up what root may, for good. */
  becomeUser: id => {
    process.setgroups([]);
    process.setgid(id);
    process.setuid(id);
  },
  leaderlessFor: () => engine.leaderlessFor,
  exit: code => process.exit(code),
  /** Ends without a call of `process.exit()`. */
  endNaturally: code => {
    process.exitCode = code;
    clearInterval(hold);
    process.removeAllListeners('disconnect');
    process.disconnect();
  },
  throwUncaught: () => {
    setImmediate(() => {
      throw new Error('uncaught');
    });
  },
  /** Turns the event loop all the time, `ms` of work in each turn; how long the longest turn was. */
  work: async (ms, untilMs) => {
    const until = now() + untilMs;
    let worst = 0;
    // Of all ways to come back, this one lets the event loop poll each time: timers that are due can run twice in a turn.
    const turn = () => new Promise(resolve => setImmediate(resolve));
    await turn();
    await turn();
    while (now() < until) {
      const began = now();
      methods.spin(ms);
      await turn();
      worst = Math.max(worst, now() - began);
    }
    return worst;
  },
  /** CPU time (µs) that this process uses in `ms`. */
  cpu: async ms => {
    const before = process.cpuUsage();
    await new Promise(resolve => setTimeout(resolve, ms));
    const { user, system } = process.cpuUsage(before);
    return user + system;
  },
  handOver: () => {
    const handedOver = engine.handOver();
    // From here on it accepts no call.
    tell({ type: 'hands over' });
    return handedOver;
  },
  close: () => engine.close(),
  /** What Midway's `@Destroy()` does, and the end of the process right after it. */
  leaveAndExit: code => {
    void engine.close(false);
    process.exit(code);
  },
  /** Somebody sets the clock, by so many ms. The engine's threads see the true one. */
  setClock: ms => setClock(ms),
  /** The same, after what Midway waits for. */
  stopAndExit: async code => {
    await engine.handOver();
    await engine.drained();
    commands.leaveAndExit(code);
  },
  /** What becomes of a call that is made in the turn in which the leave begins, before anything else has a turn. */
  callWhileLeaving: async () => {
    const left = engine.close(false);
    let told;
    engine.call('pid', []).catch(({ code, outcome }) => {
      told = { code, outcome };
    });
    for (let i = 0; i < 10; i++) {
      await null;
    }
    const atOnce = told;
    const { role, tenure } = engine;
    await left;
    return { ...atOnce, role, tenure };
  },
  stop: async () => {
    await engine.handOver();
    await engine.drained();
    await engine.close();
  },
  call: (name, args, options) => engine.call(name, args, options),
  /** Calls so many times with 1 MB; how many bytes more this process holds outside of its heap, with nothing collected. */
  callWithMegabytes: async (calls, name) => {
    const before = process.memoryUsage().external;
    for (let i = 0; i < calls; i++) {
      await engine.call(name, [megabyte, 0]);
    }
    return process.memoryUsage().external - before;
  },
  external: () => process.memoryUsage().external,
  keepLocally: state => methods.keep(state),
  takenOver: () => kept.taken,
  delayTakeOver: ms => {
    kept.delay = ms;
  },
  lateMethod: name => {
    methods[name] = () => {
      tell({ type: name });
      return process.pid;
    };
  },
  tenure: () => engine.tenure && { aborted: engine.tenure.aborted },
  watchTenure: () => {
    engine.tenure.addEventListener('abort', event => tell({ type: 'tenure ended', code: event.target.reason.code }));
  },
  gather: async (name, args, timeout) => {
    const own = () => methodOf(name)(...args);
    const outcomes = await engine.gather(name, args, { timeout, own });
    return outcomes.map(({ member, status, value, reason }) => ({
      pid: member.pid,
      id: member.id,
      status,
      value,
      code: reason?.code,
      outcome: reason?.outcome,
      message: reason?.message,
    }));
  },
  setChecks: said => {
    checks = said;
  },
  count: (by, kind = 'a') => metrics.counter.inc({ kind }, by),
  level: value => metrics.gauge.set(value),
  observe: value => metrics.histogram.observe(value),
  say: all => {
    said = all.map(metrics => {
      const list = metrics.map(metric => ({ ...metric, get: () => metric }));
      return { getMetricsAsArray: () => list };
    });
  },
  /** Metrics that no registry would make. */
  addGarbage: type => {
    const name = 'test_garbage';
    const json = { name, help: 'x', type, values: [{ labels: { 'no label': 1 }, value: {} }] };
    metrics.extra.push({ getMetricsAsArray: () => [{ name, help: 'x', type, get: () => json }] });
  },
  addMetric: (type, name, value) => {
    const metric = new (require(process.env.MEMBER_CLIENT)[type])({ name, help: 'x', registers: [metrics.registry] });
    metric.inc(value);
  },
  /** Counts by 1 again and again, and tells how far it got. */
  countUp: every => {
    setInterval(() => metrics.counter.inc({ kind: 'a' }, 1), every);
  },
  scrape: async options => {
    const began = now();
    const text = await engine.scrape({ format: 'text', memberLabel: false, timeout: 1000, ...options });
    return { text, took: now() - began };
  },
  publish: (topic, data) => engine.publish(topic, data),
  publishMany: (topic, count, size) =>
    Promise.all(Array.from({ length: count }, () => engine.publish(topic, 'x'.repeat(size)))).then(() => {}),
  publishAll: (topic, all) => Promise.all(all.map(data => engine.publish(topic, data))).then(() => {}),
  /** Makes a call, and does not read the reply for a while. */
  callThenBlock: async (ms, name, args) => {
    const call = engine.call(name, args);
    tell({ type: 'blocked' });
    methods.spin(ms);
    return call;
  },
  /** Makes many calls, and does not read the replies for a while; how many ended in which way. */
  callAllThenBlock: async (ms, count, name, args) => {
    const calls = Array.from({ length: count }, () => engine.call(name, args));
    tell({ type: 'blocked' });
    await Promise.resolve();
    methods.spin(ms);
    const counts = {};
    for (const { status, reason } of await Promise.allSettled(calls)) {
      const how = status === 'fulfilled' ? 'value' : reason.outcome;
      counts[how] = (counts[how] ?? 0) + 1;
    }
    return counts;
  },
  /** `count` calls at once, each with `size` characters there and back; how many came back whole. */
  echoMany: async (count, size) => {
    const value = 'x'.repeat(size);
    const back = await Promise.all(Array.from({ length: count }, () => engine.call('echo', [value])));
    return back.filter(each => each === value).length;
  },
  rss: () => process.memoryUsage.rss(),
  /** Blocks the event loop. */
  block: ms => {
    tell({ type: 'blocked' });
    methods.spin(ms);
  },
  /** A call that is aborted after `ms`. */
  abortAfter: (ms, name, args) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), ms);
    return engine.call(name, args, { signal: controller.signal });
  },
  /** Reads a stream, up to `most` items; what it got, and how it ended. */
  read: async (name, args, most = Number.POSITIVE_INFINITY, pause = 0, options = undefined) => {
    const items = [];
    try {
      const stream = await engine.call(name, args, options);
      for (;;) {
        if (items.length >= most) {
          const { done, value } = await stream.return('left');
          return { items, end: value, done, after: await stream.next() };
        }
        const { done, value } = await stream.next();
        if (done) {
          return { items, end: value, after: await stream.next() };
        }
        items.push(value);
        if (pause) {
          await new Promise(resolve => setTimeout(resolve, pause));
        }
      }
    } catch (error) {
      return { items, error: { name: error.name, message: error.message, code: error.code, outcome: error.outcome } };
    }
  },
  /** Opens a stream and lets go of it. */
  dropStream: async (name, args) => {
    await (await engine.call(name, args)).next();
  },
  collectGarbage: () => global.gc(),
  callAll: calls => Promise.all(calls.map(([name, args]) => engine.call(name, args))),
  /** `count` calls of many sizes, some of them awaited: one at a time, in bursts, and after a while without any. */
  callInRhythm: async (count, from) => {
    let seed = 1;
    const random = below => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return (seed >>> 8) % below;
    };
    const calls = [];
    for (let i = 0; i < count; i++) {
      const size = random(20) === 0 ? random(100_000) : random(400);
      calls.push(engine.call('record', [{ from, i, load: 'x'.repeat(size) }]));
      if (random(3) === 0) {
        await calls[i];
      } else if (random(200) === 0) {
        await new Promise(resolve => setTimeout(resolve, 1));
      }
    }
    await Promise.all(calls);
  },
  /** While another call is unanswered: whether a call has gone out in its own microtasks, made by a timer and by a reply. */
  goesAtOnce: async () => {
    const { prototype } = loadBinding().NativeAgent;
    const { sendPacked } = prototype;
    let frames = 0;
    prototype.sendPacked = function (...args) {
      frames++;
      return sendPacked.apply(this, args);
    };
    const goes = async () => {
      const before = frames;
      const call = engine.call('pid', []);
      await null;
      return { call, atOnce: frames > before };
    };
    const slow = engine.call('after', [200]);
    await new Promise(resolve => setTimeout(resolve, 20));
    const byTimer = await goes();
    await byTimer.call;
    const byReply = await goes();
    await Promise.all([slow, byReply.call]);
    prototype.sendPacked = sendPacked;
    return { byTimer: byTimer.atOnce, byReply: byReply.atOnce };
  },
  /** Makes a call after the event loop has been blocked: what happened meanwhile is not known here yet. */
  blockThenCall: (ms, name, args) => {
    const until = now() + ms;
    tell({ type: 'blocked' });
    while (now() < until) {}
    return engine.call(name, args);
  },
  /** Calls without end, `count` at once; tells the parent when it is under way. */
  flood: (count, name, args) => {
    const again = () => engine.call(name, args).then(again, () => {});
    for (let i = 0; i < count; i++) {
      again();
    }
  },
  /** The longest time that a timer came late, over `ms`. */
  lag: async ms => {
    const until = now() + ms;
    let worst = 0;
    while (now() < until) {
      const began = now();
      await new Promise(resolve => setTimeout(resolve, 5));
      worst = Math.max(worst, now() - began - 5);
    }
    return worst;
  },
  /** Whether `size` bytes come back as they were. */
  echoes: async (kind, size) => {
    const value = kind === 'text' ? 'xy'.repeat(size / 2) : Buffer.alloc(size, size % 251);
    const back = await engine.call('echo', [value]);
    return kind === 'text' ? back === value : back.equals(value);
  },
  /** Gets different values, and looks at all of them when all are there; then at those that the primary has kept. */
  echoesLater: async count => {
    const values = Array.from({ length: count }, (_, i) => Buffer.alloc(100_000, i));
    const backs = await Promise.all(values.map(value => engine.call('echo', [value])));
    for (const value of values) {
      await engine.call('record', [value]);
    }
    const kept = await engine.call('recorded', []);
    return [backs, kept].every(got => got.length === count && got.every((each, i) => each.equals(values[i])));
  },
  /** Asks the primary who it is, again and again, and tells when another one answers than before. */
  watch: async () => {
    let known;
    for (;;) {
      const pid = engine.role === 'primary' ? process.pid : await engine.call('pid', []).catch(() => undefined);
      if (pid !== undefined && pid !== known) {
        known = pid;
        tell({ type: 'answer', primary: pid, epoch: engine.epoch });
      }
      await new Promise(resolve => setTimeout(resolve, 2));
    }
  },
};

process.on('message', async ({ id, command, args }) => {
  try {
    tell({ type: 'result', id, value: await commands[command](...args) });
  } catch (error) {
    const { name, message, code, outcome, status, stack } = Object(error);
    tell({
      type: 'result',
      id,
      error: {
        name,
        message,
        code,
        outcome,
        cause: Object(error).cause?.message,
        status,
        stack,
        thrown: String(error),
        own: error,
        isTypeError: error instanceof TypeError,
      },
    });
  }
});

const hold = setInterval(() => {}, 1000);
if (!process.env.IDLE) {
  process.on('disconnect', () => process.exit());
}
tell({ type: 'trying' });
engine.start().then(
  () => {
    if (!process.env.STARTING) {
      engine.markReady();
    }
    tell({ type: 'started', role: engine.role, epoch: engine.epoch });
    if (process.env.IDLE) {
      clearInterval(hold);
      process.disconnect();
    }
  },
  error => {
    tell({ type: 'failed', code: error.code, message: error.message });
    process.disconnect();
  },
);
