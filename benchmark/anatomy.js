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
  { id: 'argumentsPacked', where: 'caller', title: 'arguments are packed' },
  { id: 'made', where: 'caller', title: 'a promise, a place in the table, a frame' },
  { id: 'callsRead', where: 'primary', title: 'the frame is read' },
  { id: 'run', where: 'primary', title: 'its turn, the method, a frame' },
  { id: 'resultPacked', where: 'primary', title: 'the result is packed' },
  { id: 'repliesRead', where: 'caller', title: 'the replies are read' },
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
      made: making - alone.argumentsPacked,
      run: running - alone.callsRead - alone.resultPacked,
      settled: settling - alone.repliesRead,
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
  const { maxPayload } = limits;
  const into = frames => ({
    packs: true,
    // Nothing here is too large, or too odd, to be packed.
    send: () => 0,
    sendPacked: (bytes, from, to) => frames.push(Buffer.from(bytes.subarray(from, to))),
  });
  outgoing.open({ id: 1, maxPayload, isTelling: () => true, ...into(calls) });
  incoming.accept();
  const lane = { id: 2, member: {}, epoch: 1, maxPayload, hold: nothing, ...into(replies) };
  return { outgoing, incoming, lane, calls, replies };
}

async function measureOnce({ outgoing, incoming, lane, calls, replies }, value) {
  const { pack } = require('../dist/codec/pack');
  const { PackedCalls, readPackedReplies } = require('../dist/engine/packed-frames');
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
        incoming.receive(lane, new PackedCalls(frame, frame.length, false));
        await undefined;
      });
    }
    while (answered(replies) < AT_ONCE) {
      // Before it is compiled, it takes longer than a turn.
      await new Promise(setImmediate);
    }
    for (const frame of replies) {
      await time('settling', () => outgoing.receivePacked(1, frame, frame.length));
    }
    await time('settling', () => Promise.all(promises));
  }
  const memory = Buffer.alloc(4096);
  await time(
    'argumentsPacked',
    times(() => pack([value], true, memory, 0)),
  );
  await time(
    'resultPacked',
    times(() => pack(value, false, memory, 0)),
  );
  const read = (frames, readOne) => () => {
    for (let group = 0; group < GROUPS; group++) {
      for (const frame of frames) {
        readOne(frame);
      }
    }
  };
  const calling = { call: nothing, verb: nothing, refuse: nothing };
  await time(
    'callsRead',
    read(calls, frame => {
      const entries = new PackedCalls(frame, frame.length, false);
      while (entries.next(calling)) {}
    }),
  );
  const replying = { take: nothing, refuse: nothing };
  await time(
    'repliesRead',
    read(replies, frame => readPackedReplies(frame, frame.length, replying)),
  );
  return took;
}

/** How many replies there are in `frames`. */
function answered(frames) {
  const { readPackedReplies } = require('../dist/engine/packed-frames');
  let count = 0;
  for (const frame of frames) {
    readPackedReplies(frame, frame.length, { take: () => count++, refuse: nothing });
  }
  return count;
}

module.exports = { measureAnatomy, parts };

if (require.main === module) {
  measureAnatomy().then(({ parts: measured }) => {
    for (const { id, where, title } of parts) {
      console.log(`${where.padEnd(9)}${title.padEnd(44)}${measured[id].toFixed(2).padStart(6)} µs`);
    }
  });
}
