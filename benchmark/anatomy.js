// Where the time of one call goes: what its JavaScript takes in the caller and in the primary, without any transport, in
// batches as they are when many calls are under way. Microseconds of the processor, the best of some rounds. A part of
// `npm run bench`; alone, after `npm run build`: node benchmark/anatomy.js
const { values } = require('./values');

const ROUNDS = 12;
/** Calls under way together, and how often. */
const AT_ONCE = 64;
const GROUPS = 200;
const limits = { maxPayload: 2 ** 26, maxPending: 2 ** 16, maxPendingBytes: 2 ** 26, readyTimeout: 5000 };
const nothing = () => {};

/** The parts in the order in which a call comes through them. */
const parts = [
  { id: 'argumentsText', where: 'caller', title: 'arguments become text' },
  { id: 'made', where: 'caller', title: 'a promise, a place in the table, a frame' },
  { id: 'callsParsed', where: 'primary', title: 'JSON.parse of the frame' },
  { id: 'run', where: 'primary', title: 'its turn, the method, a frame' },
  { id: 'resultText', where: 'primary', title: 'the result becomes text' },
  { id: 'repliesParsed', where: 'caller', title: 'JSON.parse of the replies' },
  { id: 'settled', where: 'caller', title: 'the promise is settled' },
];

/** Every part's time. */
async function measureAnatomy() {
  const { value } = values.small;
  const ends = bothEnds();
  const best = {};
  for (let round = 0; round < ROUNDS; round++) {
    for (const [part, took] of Object.entries(await measureOnce(ends, value))) {
      best[part] = Math.min(best[part] ?? Number.POSITIVE_INFINITY, took);
    }
  }
  const { making, running, settling, ...alone } = best;
  return {
    parts: {
      ...alone,
      made: making - alone.argumentsText,
      run: running - alone.callsParsed - alone.resultText,
      settled: settling - alone.repliesParsed,
    },
  };
}

/** A caller and a primary in this process, whose frames end up in lists. */
function bothEnds() {
  // Here: who only draws what was measured needs no build.
  const { IncomingCalls } = require('../dist/engine/incoming');
  const { OutgoingCalls } = require('../dist/engine/outgoing');
  const calls = [];
  const replies = [];
  const tally = { begin: nothing, succeeded: nothing, failed: nothing };
  const outgoing = new OutgoingCalls(limits, () => 'none', nothing, tally);
  const incoming = new IncomingCalls({ invoke: (_, args) => args[0], wantsInvocations: false }, limits);
  outgoing.open({ id: 1, maxPayload: limits.maxPayload, isTelling: () => true, send: payload => calls.push(payload) });
  incoming.accept();
  const lane = {
    id: 2,
    member: {},
    epoch: 1,
    maxPayload: limits.maxPayload,
    send: payload => replies.push(payload),
    hold: nothing,
  };
  return { outgoing, incoming, lane, calls, replies };
}

async function measureOnce({ outgoing, incoming, lane, calls, replies }, value) {
  const { encode, encodeAsText } = require('../dist/codec');
  const took = {};
  const time = async (part, work) => {
    const began = process.hrtime.bigint();
    await work();
    took[part] = (took[part] ?? 0) + Number(process.hrtime.bigint() - began) / 1000 / GROUPS / AT_ONCE;
  };
  const times = work => () => {
    for (let i = 0; i < GROUPS * AT_ONCE; i++) {
      work();
    }
  };
  for (let group = 0; group < GROUPS; group++) {
    calls.length = 0;
    replies.length = 0;
    const promises = [];
    await time('making', () => {
      for (let i = 0; i < AT_ONCE; i++) {
        promises.push(outgoing.call('EchoService.echo', [value]));
      }
    });
    for (const frame of calls) {
      // As they arrive: the replies to one go out before the next one comes.
      await time('running', async () => {
        incoming.receive(lane, frame);
        await undefined;
      });
    }
    while (answered(replies) < AT_ONCE) {
      // Before it is compiled, it takes longer than a turn.
      await new Promise(setImmediate);
    }
    for (const frame of replies) {
      await time('settling', () => outgoing.receive(1, frame));
    }
    await time('settling', () => Promise.all(promises));
  }
  await time(
    'argumentsText',
    times(() => encodeAsText([value])),
  );
  await time(
    'resultText',
    times(() => encode(value, 'result')),
  );
  const parse = frames => () => {
    for (let group = 0; group < GROUPS; group++) {
      for (const frame of frames) {
        JSON.parse(frame);
      }
    }
  };
  await time('callsParsed', parse(calls));
  await time('repliesParsed', parse(replies));
  return took;
}

/** How many replies there are in `frames`. */
function answered(frames) {
  return frames.reduce((count, frame) => count + JSON.parse(frame).length / 3, 0);
}

module.exports = { measureAnatomy, parts };

if (require.main === module) {
  measureAnatomy().then(({ parts: measured }) => {
    for (const { id, where, title } of parts) {
      console.log(`${where.padEnd(9)}${title.padEnd(44)}${measured[id].toFixed(2).padStart(6)} µs`);
    }
  });
}
