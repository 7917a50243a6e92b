// One process with an engine of its own, without Midway: it joins the group that it is told, answers calls when it is
// primary, and tells its parent what happens to it. Times are of the monotonic clock that all processes share.
const { resolveConfig } = require('../../dist/config');
const { LocalEngine } = require('../../dist/engine/local');

const now = () => Number(process.hrtime.bigint()) / 1e6;
const tell = message => process.connected && process.send({ pid: process.pid, at: now(), ...message });
const { group, runtimeDir, config = {}, decision = {} } = JSON.parse(process.env.MEMBER);

const logger = Object.fromEntries(
  ['debug', 'info', 'warn', 'error'].map(level => [
    level,
    (...args) => tell({ type: 'log', level, text: String(args) }),
  ]),
);

/** What other members can call here. */
const methods = {
  pid: () => process.pid,
  echo: value => value,
  nothing: () => undefined,
  spin: ms => {
    const until = now() + ms;
    while (now() < until) {}
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
  never: () => new Promise(() => {}),
  seen: [],
  record: value => {
    methods.seen.push(value);
    return methods.seen.length;
  },
  recorded: () => methods.seen,
};

const engine = new LocalEngine(
  {
    deployment: 'configured',
    group,
    groupKey: group,
    candidate: true,
    preferred: false,
    waitForPreferred: false,
    reasons: [],
    ...decision,
  },
  resolveConfig({ runtimeDir, ...config }),
  {
    invoke: (name, args) => methods[name](...args),
    logger,
  },
);
for (const event of ['primary', 'worker', 'member-joined', 'member-left']) {
  engine.events.on(event, payload => tell({ type: event, ...payload }));
}

/** What the parent can ask for. */
const commands = {
  markReady: () => engine.markReady(),
  role: () => ({ role: engine.role, epoch: engine.epoch }),
  members: () => engine.members(),
  explain: () => engine.explain(),
  handOver: () => engine.handOver(),
  close: () => engine.close(),
  stop: async () => {
    await engine.handOver();
    await engine.drained();
    await engine.close();
  },
  call: (name, args, options) => engine.call(name, args, options),
  callAll: calls => Promise.all(calls.map(([name, args]) => engine.call(name, args))),
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
