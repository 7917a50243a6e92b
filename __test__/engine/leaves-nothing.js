// Starts and closes engines in one process, and prints how many of them are still held, with all their memory.
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { bareEngine } = require('../../scripts/bare-engine');

const COUNT = 30;
const runtimeDir = mkdtempSync(join(tmpdir(), 'agent-engine-'));
let held = 0;
const registry = new FinalizationRegistry(() => held--);

async function once(number) {
  const engine = bareEngine({ group: `leaves-nothing-${number}`, runtimeDir });
  held++;
  registry.register(engine);
  await engine.start();
  await engine.close();
}

(async () => {
  for (let i = 0; i < COUNT; i++) {
    await once(i);
  }
  for (let i = 0; i < 50 && held > 1; i++) {
    global.gc();
    await new Promise(resolve => setTimeout(resolve, 10));
  }
  rmSync(runtimeDir, { recursive: true });
  console.log(JSON.stringify({ started: COUNT, held }));
})();
