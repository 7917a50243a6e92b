/** What each of two test files does: boots an application whose configuration names a group, and writes down what it is. */
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { threadId } = require('node:worker_threads');
const { close, createLightApp } = require('@midwayjs/mock');
const processAgent = require('@midwayjs/process-agent');

const { MEETING, TOGETHER } = process.env;

function file(name) {
  return path.join(MEETING, `${name}.json`);
}

function say(name, what) {
  // Renamed into place, so that nobody reads half of it.
  fs.writeFileSync(`${file(name)}.part`, JSON.stringify(what));
  fs.renameSync(`${file(name)}.part`, file(name));
}

/** Where the runner runs both files at once, both applications live at one time. */
async function meet(names, step) {
  const deadline = process.hrtime.bigint() + 20_000_000_000n;
  while (TOGETHER && !names.every(name => fs.existsSync(file(`${name}-${step}`)))) {
    if (process.hrtime.bigint() > deadline) {
      throw new Error(`the other test file has not come to its step ${step} within 20 s`);
    }
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

async function boot() {
  const app = await createLightApp({
    baseDir: __dirname,
    imports: [processAgent],
    globalConfig: {
      processAgent: { group: process.env.CONFIGURED_GROUP },
      midwayLogger: { default: { transports: { file: false, error: false, console: false } } },
    },
  });
  const agent = await app.getApplicationContext().getAsync(processAgent.ProcessAgentService);
  return { agent, end: () => close(app) };
}

exports.boot = boot;
exports.run = async function run(name) {
  const names = ['one', 'two'];
  const { agent, end } = await boot();
  say(`${name}-begun`, {});
  await meet(names, 'begun');
  const { deployment, role, reasons } = agent.explain();
  const members = (await agent.members()).length;
  // Of an application that the test starts, the same configuration counts.
  const child = name === 'one' ? JSON.parse(execFileSync('node', [path.join(__dirname, 'child.cjs')])) : undefined;
  say(`${name}-ended`, { pid: process.pid, threadId, deployment, role, members, reason: reasons[0], child });
  await meet(names, 'ended');
  await end();
};
