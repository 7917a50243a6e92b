// A primary and a member that calls it, in one process: listens often to everything that can be listened to, and prints
// the warnings of Node, in the order in which they came.
const { EventEmitter, once } = require('node:events');
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { bareEngine } = require('../../scripts/bare-engine');

const MANY = 20;
const warnings = [];
process.on('warning', warning => warnings.push(warning.name));

function listenOften(signal) {
  for (let i = 0; i < MANY; i++) {
    signal.addEventListener('abort', () => {});
  }
}

(async () => {
  const runtimeDir = mkdtempSync(join(tmpdir(), 'agent-engine-'));
  const host = {
    wantsInvocations: true,
    invoke: async (_name, [value], { signal }) => {
      listenOften(signal);
      return value;
    },
  };
  const primary = bareEngine({ group: 'many', runtimeDir }, host);
  await primary.start();
  primary.markReady();
  const worker = bareEngine({ group: 'many', runtimeDir }, host);
  await worker.start();
  await worker.ready();
  for (let i = 0; i < MANY; i++) {
    worker.events.on('member-joined', () => {});
  }
  listenOften(primary.tenure);
  const { signal } = new AbortController();
  const calls = Array.from({ length: MANY }, (_, i) => worker.call('echo', [i], { signal }));
  const answers = await Promise.all(calls);
  await worker.gather('echo', [1], { timeout: 5_000, own: () => 1 });
  await worker.close();
  await primary.close();
  rmSync(runtimeDir, { recursive: true });
  // What Node would say here must be seen: this emitter has one listener too many, and its warning comes last.
  const emitter = new EventEmitter();
  const last = once(process, 'warning');
  for (let i = 0; i < 11; i++) {
    emitter.on('any', () => {});
  }
  await last;
  console.log(JSON.stringify({ answers: answers.length, warnings }));
})();
