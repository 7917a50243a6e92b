// One process with an engine of its own, without Midway. As primary it is called; as worker it calls, with every value
// of the tables, and tells its parent what did not arrive as it was. It compares by itself: the channel to the parent
// would lose what is to be compared.
const { ProcessAgentError, registerError } = require('../../dist/errors');
const { bareEngine } = require('../../scripts/bare-engine');
const { refused } = require('../support/refused');
const { difference } = require('../support/same');
const thrown = require('../support/thrown');
const { beside, differs, values } = require('../support/values');

const options = JSON.parse(process.env.MEMBER);
registerError(thrown.OrderError);

let ran = 0;
/** What the worker calls. */
const methods = {
  argument: (index, value) => differs(index, value),
  argumentBeside: (index, [value]) => differs(index, value),
  result: index => values[index].make(),
  resultBeside: index => beside(values[index].make()),
  refusedArgument: () => ++ran,
  ran: () => ran,
  refusedResult: index => refused[index].make(),
  thrown: index => {
    throw thrown.thrown[index].make();
  },
  rejected: async index => {
    throw thrown.thrown[index].make();
  },
  untold: index => {
    throw thrown.untold[index].make();
  },
  axios: () => {
    throw thrown.axios();
  },
  tooLarge: () => {
    throw new TypeError('x'.repeat(options.config.maxPayload + 1));
  },
};

const engine = bareEngine(options, { invoke: (name, args) => methods[name](...args) });

/** What `action` says is wrong in each of `rows`, by its name. */
async function checkAll(rows, action) {
  const problems = [];
  for (const [index, row] of rows.entries()) {
    const problem = await action(index, row).catch(error => `it threw ${error?.stack ?? String(error)}`);
    if (problem) {
      problems.push(`${row.name}: ${problem}`);
    }
  }
  return problems;
}

const errorOf = promise =>
  promise.then(
    () => 'no error',
    error => error,
  );

function problemOfRefusal(error, text, outcome) {
  const known = error instanceof ProcessAgentError && error.code === 'ERR_AGENT_NOT_SERIALIZABLE';
  return known && error.outcome === outcome && error.message.includes(text) ? undefined : String(error);
}

function stackOf(error) {
  try {
    return error.stack;
  } catch {
    return '';
  }
}

/** The frames of the primary, if it had any to show, then those of this process. */
function problemOfStack({ stack }, original) {
  const [there, here = ''] = stack.split(`\n    --- called from pid ${process.pid} ---\n`);
  const frames = / at .*thrown\.js|evalmachine/;
  if (frames.test(stackOf(original)) && !frames.test(there)) {
    return `no frame of the primary: ${stack}`;
  }
  return here.includes(__filename) ? undefined : `no frame of the caller: ${stack}`;
}

/** What the parent can ask for: each a list of problems. */
const checks = {
  argument: () => checkAll(values, (index, { make }) => engine.call('argument', [index, make()])),
  argumentBeside: () => checkAll(values, (index, { make }) => engine.call('argumentBeside', [index, beside(make())])),
  result: () => checkAll(values, async index => differs(index, await engine.call('result', [index]))),
  resultBeside: () => checkAll(values, async index => differs(index, (await engine.call('resultBeside', [index]))[0])),
  refusedArgument: async () => [
    ...(await checkAll(refused, async (_, { make, reason }) =>
      problemOfRefusal(await errorOf(engine.call('refusedArgument', [1, make()])), `args[1]${reason}`, 'not-sent'),
    )),
    ...((await engine.call('ran', [])) === 0 ? [] : ['one has run']),
  ],
  refusedResult: () =>
    checkAll(refused, async (index, { reason }) =>
      // A promise is waited for.
      reason.includes('a promise') && reason.startsWith(' ')
        ? undefined
        : problemOfRefusal(await errorOf(engine.call('refusedResult', [index])), `result${reason}`, 'executed'),
    ),
  thrown: () =>
    checkAll(thrown.thrown, async (index, { arrives }) =>
      difference(await errorOf(engine.call('thrown', [index])), arrives()),
    ),
  rejected: () =>
    checkAll(thrown.thrown, async (index, { arrives }) =>
      difference(await errorOf(engine.call('rejected', [index])), arrives()),
    ),
  stacks: () =>
    checkAll(thrown.thrown, async (index, { make }) => {
      const error = await errorOf(engine.call('thrown', [index]));
      return error instanceof Error ? problemOfStack(error, make()) : undefined;
    }),
  untold: () =>
    checkAll(thrown.untold, async (index, { reason }) =>
      problemOfRefusal(await errorOf(engine.call('untold', [index])), `thrown ${reason}`, 'executed'),
    ),
  large: async () => {
    const [large, axios] = [await errorOf(engine.call('tooLarge', [])), await errorOf(engine.call('axios', []))];
    return [problemOfRefusal(large, 'TypeError: xxx', 'executed'), difference(axios.response?.status, 404)].filter(
      Boolean,
    );
  },
  counts: async () => [values.length, refused.length, thrown.thrown.length],
};

process.on('message', async check => {
  process.send({ check, answer: await checks[check]() });
});
process.on('disconnect', () => process.exit());
engine.start().then(() => {
  engine.markReady();
  process.send({ role: engine.role });
});
