// Bun and Deno from their npm packages, for the test that runs the engine in them.
const path = require('node:path');
const { project } = require('./projects');
const { run } = require('./shell');

/** How each tells its own path: what npm links may be a wrapper around it. */
const PATHS = {
  bun: ['-e', 'console.log(process.execPath)'],
  deno: ['eval', 'console.log(Deno.execPath())'],
};

/** Their paths by name, or `missing`: why there are none. */
function runtimes() {
  try {
    const folder = project('runtimes');
    return Object.fromEntries(Object.entries(PATHS).map(([name, args]) => [name, pathOf(folder, name, args)]));
  } catch (error) {
    return { missing: error.message.trim().split('\n').at(-1) };
  }
}

function pathOf(folder, name, args) {
  const { code, stdout, stderr } = run(path.join(folder, 'node_modules', '.bin', name), args, { cwd: folder });
  if (code !== 0) {
    throw new Error(`${name} does not run here: ${stderr.trim()}`);
  }
  return stdout.trim();
}

module.exports = { runtimes };

if (require.main === module) {
  console.log(runtimes());
}
