// A primary's part of calls, without a lane: prints how many bytes became old, at the most, while it has answered.
// Run with --expose-gc.
const { getHeapSpaceStatistics } = require('node:v8');
const { IncomingCalls } = require('../../dist/engine/incoming');

const FRAMES = 8;
const TURNS = 10_000;

const old = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space').space_used_size;
const turn = () => new Promise(setImmediate);

async function main() {
  const incoming = new IncomingCalls(
    { invoke: (_name, args) => args[0], wantsInvocations: false },
    { maxPayload: 1_000_000, maxPendingBytes: 1_000_000 },
  );
  incoming.accept();
  let answered = 0;
  const lane = { id: 1, member: { pid: 1 }, epoch: 1, maxPayload: 1_000_000, hold() {} };
  lane.send = () => ++answered;
  const calls = Array.from({ length: 32 }, (_, id) => `${id},"echo",[{"id":${id},"name":"a small value"}]`);
  const frame = `[${calls.join(',')}]`;
  const run = async turns => {
    for (let i = 0; i < turns; i++) {
      for (let frames = 0; frames < FRAMES; frames++) {
        incoming.receive(lane, frame);
      }
      await turn();
    }
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
}

main();
