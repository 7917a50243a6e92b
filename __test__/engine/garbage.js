// A primary's part of calls, without a lane: prints how many bytes became old, at the most, while it has answered.
// Run with --expose-gc, and with `flood`, so that no turn is long enough for what comes, or with `told`, so that an account
// is kept of each call.
const { getHeapSpaceStatistics } = require('node:v8');
const { Chunks } = require('../../dist/engine/chunks');
const { IncomingCalls } = require('../../dist/engine/incoming');
const { PackedCalls, packCall, setId } = require('../../dist/engine/packed-frames');

const kind = process.argv[2];
const [FRAMES, TURNS] = kind === 'flood' ? [400, 200] : [8, 10_000];

const old = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space').space_used_size;
const turn = () => new Promise(setImmediate);

async function main() {
  const incoming = new IncomingCalls(
    { invoke: (_name, args) => args[0], wantsInvocations: kind === 'told' },
    { maxPayload: 1_000_000, maxPendingBytes: 100_000_000 },
  );
  incoming.accept();
  let answered = 0;
  const lanes = [1, 2].map(id => {
    const send = () => ++answered;
    return { id, member: { pid: id }, epoch: 1, maxPayload: 1_000_000, packs: true, send, sendPacked: send, hold() {} };
  });
  const chunks = new Chunks();
  const calls = Array.from({ length: 32 }, (_, id) => {
    const call = packCall(chunks, 'echo', [{ id, name: 'a small value' }]);
    setId(call, id);
    return call.bytes.subarray(call.from, call.to);
  });
  const frame = Buffer.concat(calls);
  const run = async turns => {
    for (let i = 0; i < turns; i++) {
      for (let frames = 0; frames < FRAMES; frames++) {
        incoming.receive(lanes[frames % 2], new PackedCalls(frame, frame.length, true));
      }
      await turn();
    }
    // Until all is answered.
    await incoming.refuse(10_000);
    incoming.accept();
  };
  // What is compiled, and what this process keeps, is old from here on.
  await run(TURNS / 10);
  gc();
  gc();
  const before = old();
  let most = before;
  for (let part = 0; part < 100; part++) {
    await run(TURNS / 100);
    most = Math.max(most, old());
  }
  console.log(JSON.stringify({ answered, grown: most - before }));
  process.exit();
}

main();
