/**
 * Takes the snapshots in this folder anew, each from a process that a real manager has started (Linux):
 *
 *   mkdir -p /tmp/snap/{pm2,midway3,midway4,egg,egg-threads,runners}       # then `npm init -y` in each, and
 *   (cd /tmp/snap/pm2 && npm i pm2 tsx)
 *   (cd /tmp/snap/midway3 && npm i @midwayjs/bootstrap@3 @midwayjs/core@3 @midwayjs/logger@3)
 *   (cd /tmp/snap/midway4 && npm i @midwayjs/bootstrap@4 @midwayjs/core@4 @midwayjs/logger@4)
 *   (cd /tmp/snap/egg && npm i @midwayjs/web@3 @midwayjs/core@3 @midwayjs/logger@3 egg@3 egg-scripts@2)
 *   (cd /tmp/snap/egg-threads && npm i egg@4 @eggjs/cluster@3)
 *   (cd /tmp/snap/runners && npm i jest vitest ava mocha tap uvu bun)
 *   node __test__/snapshots/take.js /tmp/snap [word of a scenario's name]
 *
 * It works with a PM2_HOME of its own inside the scratch folder and ends what it has started. `pm2-uid` needs root.
 * Paths of the machine are replaced: the scratch folder by /app, the repository by /repo, Node by /usr/bin/node.
 */
const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const ts = require('typescript');

const repository = path.resolve(__dirname, '../..');
const scratch = fs.realpathSync(process.argv[2] ?? '');
const only = process.argv[3] ?? '';
const out = path.join(scratch, 'out');
const fixtures = path.join(__dirname, 'apps');
const pm2Home = path.join(scratch, 'home/.pm2');
const pm2 = path.join(scratch, 'pm2/node_modules/pm2/bin/pm2');
const pm2Runtime = path.join(scratch, 'pm2/node_modules/pm2/bin/pm2-runtime');

/** An environment without anything that a manager, a test runner or npm around this script has put there. */
function environment(more) {
  const { PATH } = process.env;
  return { PATH, HOME: path.join(scratch, 'home'), SNAPSHOTS: out, ...more };
}

function app(name) {
  return path.join(scratch, 'apps', name);
}

/** What to run (`run` with Node, `pm2` with its command line, or `npm`), and the snapshots that must appear. */
const scenarios = {
  standalone: { run: ['standalone.js'], takes: ['standalone'] },
  configured: {
    run: ['standalone.js'],
    env: { SNAPSHOT: 'configured', MIDWAY_PROCESS_AGENT_GROUP: 'orders' },
    takes: ['configured'],
  },
  'thread-in-plain-process': {
    run: ['threads.js'],
    env: { SNAPSHOT: 'plain' },
    takes: ['plain-main', 'plain-thread-1', 'plain-thread-2'],
  },
  cluster: {
    run: ['cluster.js'],
    env: { SNAPSHOT: 'cluster' },
    takes: ['cluster-primary', 'cluster-worker-1', 'cluster-worker-2', 'cluster-worker-thread'],
  },
  'cluster-reserved': {
    run: ['cluster.js'],
    env: { SNAPSHOT: 'cluster-reserved', RESERVE: 'yes' },
    takes: ['cluster-reserved-primary', 'cluster-reserved-worker-1'],
  },
  midway3: { run: ['midway.js'], env: { MIDWAY: 'midway3' }, takes: midwayTakes('midway3') },
  midway4: { run: ['midway.js'], env: { MIDWAY: 'midway4' }, takes: midwayTakes('midway4') },
  jest: {
    run: ['jest.js'],
    env: { REPOSITORY: repository },
    takes: ['jest-thread'],
  },
  ...runners({
    jest: ['jest/bin/jest.js', '--config', '{"testMatch":["**/*.jest.cjs"],"transform":{}}', '--maxWorkers=2'],
    'jest-in-band': ['jest/bin/jest.js', '--config', '{"testMatch":["**/*.jest.cjs"],"transform":{}}', '-i'],
    'vitest-forks': ['vitest/vitest.mjs', 'run', '--pool=forks'],
    'vitest-threads': ['vitest/vitest.mjs', 'run', '--pool=threads'],
    'vitest-vm-forks': ['vitest/vitest.mjs', 'run', '--pool=vmForks'],
    'vitest-vm-threads': ['vitest/vitest.mjs', 'run', '--pool=vmThreads'],
    ava: ['ava/entrypoints/cli.mjs', 'one.ava.mjs'],
    'ava-processes': ['ava/entrypoints/cli.mjs', '--no-worker-threads', 'one.ava.mjs'],
    mocha: ['mocha/bin/mocha.js', 'one.mocha.cjs'],
    'mocha-parallel': ['mocha/bin/mocha.js', '--parallel', 'one.mocha.cjs', 'two.mocha.cjs'],
    'node-test': ['--test', 'one.node.cjs'],
    'node-test-bare': ['--test', 'bare.cjs'],
    'node-test-alone': ['one.node.cjs'],
    tap: ['tap/dist/esm/run.mjs', 'run', '--disable-coverage', '--allow-empty-coverage', 'one.tap.cjs'],
    'tap-alone': ['one.tap.cjs'],
    uvu: ['uvu/bin.js', '.', '^one.uvu.cjs$'],
    'uvu-alone': ['one.uvu.cjs'],
    bun: ['bun/bin/bun.exe', 'test', './one.bun.test.cjs'],
    'bun-parallel': ['bun/bin/bun.exe', 'test', '--parallel=2', './one.bun.test.cjs', './two.bun.test.cjs'],
  }),
  'pm2-cluster': { pm2: ['start', 'pm2-app.js', '-i', '3', '--name', 'api'], takes: instances('pm2-cluster', 3) },
  'pm2-fork': { pm2: ['start', 'fork.config.js'], takes: instances('pm2-fork', 3) },
  'pm2-renamed': { pm2: ['start', 'renamed.config.js'], takes: instances('pm2-renamed', 2) },
  'pm2-namespace': {
    pm2: ['start', 'pm2-app.js', '-i', '1', '--name', 'api', '--namespace', 'blue'],
    takes: instances('pm2-namespace', 1),
  },
  'pm2-child': { pm2: ['start', 'child.js', '--name', 'api'], takes: ['pm2-parent', 'pm2-child'] },
  'pm2-thread': {
    pm2: ['start', 'threads.js', '--name', 'api'],
    env: { SNAPSHOT: 'pm2' },
    takes: ['pm2-main', 'pm2-thread-1'],
  },
  'pm2-cluster-primary': {
    pm2: ['start', 'cluster.js', '--name', 'api'],
    env: { SNAPSHOT: 'pm2-node-cluster' },
    takes: ['pm2-node-cluster-primary', 'pm2-node-cluster-worker-1'],
  },
  'pm2-midway': {
    pm2: ['start', 'pm2-midway.config.js'],
    env: { MIDWAY: 'midway3' },
    takes: ['pm2-midway-0-worker-1', 'pm2-midway-1-worker-1'],
  },
  'pm2-npm': { pm2: ['start', 'npm', '--name', 'api', '--', 'start'], takes: ['pm2-npm'], env: { SNAPSHOT: 'pm2-npm' } },
  'pm2-npm-line': { pm2: ['start', 'npm start', '--name', 'api'], takes: ['pm2-npm-line'], env: { SNAPSHOT: 'pm2-npm-line' } },
  'pm2-bash': { pm2: ['start', 'start.sh', '--name', 'api'], takes: ['pm2-bash'], env: { SNAPSHOT: 'pm2-bash' } },
  'pm2-tsx': {
    pm2: ['start', path.join(scratch, 'pm2/node_modules/.bin/tsx'), '--name', 'api', '-i', '2', '--', 'hidden.js'],
    takes: ['pm2-tsx'],
    env: { SNAPSHOT: 'pm2-tsx' },
  },
  // Started by root for another user, who can't read the daemon's pid.
  'pm2-uid': { pm2: ['start', 'uid.config.js'], takes: ['pm2-uid-fork-0', 'pm2-uid-cluster-0'] },
  'pm2-under-npm': { npm: ['run', 'start:pm2'], env: { PM2: pm2 }, takes: ['pm2-under-npm-parent', 'pm2-under-npm-child'] },
  'pm2-runtime': { run: [pm2Runtime, 'start', 'runtime.config.js'], takes: instances('pm2-runtime', 2) },
  'pm2-no-daemon': {
    run: [pm2, 'start', 'pm2-app.js', '-i', '2', '--name', 'api', '--no-daemon'],
    env: { SNAPSHOT: 'pm2-no-daemon' },
    takes: instances('pm2-no-daemon', 2),
  },
  egg: {
    cwd: path.join(scratch, 'egg'),
    run: [path.join(scratch, 'egg/node_modules/egg-scripts/bin/egg-scripts.js'), 'start', '--workers=2', '--port=17801'],
    takes: ['egg-worker-1', 'egg-worker-2', 'egg-agent'],
  },
  'egg-threads': {
    cwd: path.join(scratch, 'egg-threads'),
    run: [path.join(scratch, 'egg-threads/start.mjs')],
    takes: ['egg-thread-agent', 'egg-thread-worker'],
  },
};

/** Each takes the process or thread that runs a test file, and an application that the test starts. */
function runners(commands) {
  const scenario = ([name, [script, ...args]]) => {
    const installed = path.join(scratch, 'runners/node_modules', script);
    const isRunner = fs.existsSync(installed);
    return [
      `runner-${name}`,
      {
        cwd: path.join(scratch, 'runners'),
        ...(script.endsWith('.exe') ? { program: installed, run: args } : { run: [isRunner ? installed : script, ...args] }),
        env: { SNAPSHOT: `runners/${name}` },
        takes: [`runners/${name}`, `runners/${name}-child`],
      },
    ];
  };
  return Object.fromEntries(Object.entries(commands).map(scenario));
}

function instances(name, count) {
  return Array.from({ length: count }, (_, index) => `${name}-${index}`);
}

function midwayTakes(name) {
  return [`${name}-worker-1`, `${name}-worker-2`];
}

async function main() {
  prepare();
  for (const [name, scenario] of Object.entries(scenarios).filter(([name]) => name.includes(only))) {
    console.log(name);
    const child = start(name, scenario);
    try {
      await appear(scenario.takes);
    } finally {
      await stop(child, scenario);
    }
    for (const take of scenario.takes) {
      fs.writeFileSync(path.join(__dirname, `${take}.json`), scrub(fs.readFileSync(path.join(out, `${take}.json`), 'utf8')));
    }
  }
}

function prepare() {
  fs.rmSync(out, { recursive: true, force: true });
  fs.mkdirSync(path.join(out, 'runners'), { recursive: true });
  fs.chmodSync(out, 0o777);
  fs.mkdirSync(path.join(scratch, 'home'), { recursive: true, mode: 0o700 });
  fs.chmodSync(path.join(scratch, 'home'), 0o700);
  fs.cpSync(fixtures, path.join(scratch, 'apps'), { recursive: true });
  fs.cpSync(path.join(fixtures, 'runners'), path.join(scratch, 'runners'), { recursive: true });
  fs.cpSync(path.join(fixtures, 'egg'), path.join(scratch, 'egg'), { recursive: true });
  fs.cpSync(path.join(fixtures, 'egg-threads'), path.join(scratch, 'egg-threads'), { recursive: true });
  const compilerOptions = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 };
  for (const name of ['snapshot', 'pm2-daemon', 'process-info', 'test-runner']) {
    const source = fs.readFileSync(path.join(repository, 'ts/role', `${name}.ts`), 'utf8');
    fs.writeFileSync(path.join(scratch, 'apps', `${name}.js`), ts.transpileModule(source, { compilerOptions }).outputText);
  }
}

function start(name, scenario) {
  const command = scenario.npm ? ['npm', ...scenario.npm] : [scenario.program ?? process.execPath, ...(scenario.run ?? [pm2, ...scenario.pm2])];
  const log = fs.openSync(path.join(out, `${name}.log`), 'w');
  return spawn(command[0], command.slice(1), {
    cwd: scenario.cwd ?? app('.'),
    env: environment({ SNAPSHOT: name, ...scenario.env }),
    stdio: ['ignore', log, log],
  });
}

async function appear(takes) {
  const deadline = Date.now() + 60_000;
  for (const take of takes) {
    while (!fs.existsSync(path.join(out, `${take}.json`))) {
      if (Date.now() > deadline) {
        throw new Error(`no ${take}.json within a minute: see ${out}/*.log`);
      }
      await new Promise(resolve => setTimeout(resolve, 50));
    }
  }
}

async function stop(child, scenario) {
  if (child.exitCode === null && (scenario.run || scenario.npm)) {
    const exited = new Promise(resolve => child.once('exit', resolve));
    child.kill('SIGTERM');
    await exited;
  }
  if (fs.existsSync(path.join(pm2Home, 'pm2.pid'))) {
    execFileSync(process.execPath, [pm2, 'kill'], { env: environment({}), stdio: 'ignore' });
  }
}

function scrub(text) {
  const replaced = text.replaceAll(scratch, '/app').replaceAll(repository, '/repo').replaceAll(process.execPath, '/usr/bin/node');
  return `${JSON.stringify(JSON.parse(replaced), null, 2)}\n`;
}

main();
