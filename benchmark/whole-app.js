// A koa route that makes one @RunInPrimary() call for each request, beside the same route without a call, the 3.x package
// in the deployment where it works, and a Redis GET over a unix socket.
//   node benchmark/whole-app.js [--rounds=5] [--duration=2000]
const assert = require('node:assert');
const { createRequire } = require('node:module');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { pack } = require('../scripts/pack');
const { project } = require('../scripts/projects');
const { setup } = require('../scripts/setup');
const { cpuOf } = require('./cpu');
const { deploy, get } = require('./deployment');
const { checkOptions, number } = require('./options');
const { installPeer, loadPeers } = require('./peers');
const { startRedis } = require('./redis-server');
const { circumstances, median, reasonOf } = require('./results');
const { values } = require('./values');

const CONNECTIONS = 40;
const inManager = 'ClusterManager';
const inCluster = 'node:cluster, application in the primary too';

const routes = [
  { id: 'plain', title: `${inManager}: without a call`, deployment: 'manager', route: 'plain', plain: 'plain' },
  { id: 'call', title: `${inManager}: one call`, deployment: 'manager', route: 'call', plain: 'plain' },
  { id: 'redis', title: `${inManager}: one Redis GET`, deployment: 'manager', route: 'redis', plain: 'plain' },
  {
    id: 'clusterPlain',
    title: `${inCluster}: without a call`,
    deployment: 'cluster',
    route: 'plain',
    plain: 'clusterPlain',
  },
  { id: 'clusterCall', title: `${inCluster}: one call`, deployment: 'cluster', route: 'call', plain: 'clusterPlain' },
  {
    id: 'oldPlain',
    title: 'The same, release 3.20.24: without a call',
    deployment: 'old',
    route: 'plain',
    plain: 'oldPlain',
  },
  { id: 'oldCall', title: 'The same, release 3.20.24: one call', deployment: 'old', route: 'call', plain: 'oldPlain' },
];

async function measureApplication({ tarballs, temporary }) {
  const rounds = number('rounds', 5);
  const duration = number('duration', 2_000);
  const autocannon = createRequire(path.join(project('load'), 'package.json'))('autocannon');
  const reasons = {};
  const results = {};
  const { deployments, redis } = await startAll(tarballs, temporary, reasons);
  try {
    for (let round = 0; round <= rounds; round++) {
      const turns = routes.map((_, i) => routes[(i + round) % routes.length]);
      for (const { id, title, route, deployment } of turns) {
        if (!deployments[deployment] || (route === 'redis' && !redis) || reasons[title]) {
          continue;
        }
        try {
          const result = await load(autocannon, deployments[deployment], route, duration, redis);
          // The first round only warms up.
          if (round > 0) {
            results[id] ??= [];
            results[id].push(result);
          }
        } catch (error) {
          reasons[title] = reasonOf(error, temporary);
        }
      }
      console.log(round === 0 ? 'application: warmed up' : `application: round ${round} of ${rounds}`);
    }
  } finally {
    await Promise.all(Object.values(deployments).map(deployment => deployment.stop()));
    redis?.stop();
  }
  const medians = Object.fromEntries(
    Object.entries(results).map(([id, list]) => [
      id,
      Object.fromEntries(Object.keys(list[0]).map(key => [key, median(list.map(each => each[key]))])),
    ]),
  );
  return { rounds, duration, connections: CONNECTIONS, routes, medians, reasons };
}

/** Whatever of them can be started; in `reasons` why the others can't. */
async function startAll(tarballs, temporary, reasons) {
  const attempt = async (what, start) => {
    try {
      return await start();
    } catch (error) {
      reasons[what] = reasonOf(error, temporary);
      return undefined;
    }
  };
  const home = name => path.join(temporary, `app-${name}`);
  const folder = project('benchmark', { tarballs });
  const socket = path.join(temporary, 'app-redis.sock');
  let env = {};
  const redis = await attempt('Redis', async () => {
    const [peer] = loadPeers(['redis']);
    const client = path.join(installPeer(peer), 'node_modules', 'ioredis');
    const server = await startRedis(socket);
    const connection = new (require(client))(socket);
    await connection.set('value', JSON.stringify(values.small.value));
    await connection.quit();
    env = { BENCHMARK_IOREDIS: client, BENCHMARK_REDIS: socket };
    return server;
  });
  const deployments = {
    manager: await attempt(inManager, () => deploy(folder, 'manager.js', home('manager'), env)),
    cluster: await attempt(inCluster, () => deploy(folder, 'cluster.js', home('cluster'), {})),
    old: await attempt('release 3.20.24', () => deploy(project('old'), 'cluster.js', home('old'), {})),
  };
  return { deployments: Object.fromEntries(Object.entries(deployments).filter(([, started]) => started)), redis };
}

/** One route under load. What it answers is checked once; every answer must be a 200. */
async function load(autocannon, deployment, route, duration, redis) {
  assert.deepStrictEqual(JSON.parse(await get(deployment.url(route))), values.small.value);
  const times = [];
  let others = 0;
  const pids = route === 'redis' ? [...deployment.pids, redis.pid] : deployment.pids;
  const cpu = cpuOf(pids);
  const began = performance.now();
  const instance = autocannon({ url: deployment.url(route), connections: CONNECTIONS, duration: 600 });
  const fail = () => {
    others += 1;
  };
  instance.on('response', (_client, status, _bytes, time) => (status === 200 ? times.push(time) : fail()));
  instance.on('reqError', fail);
  setTimeout(() => instance.stop(), duration);
  await instance;
  const seconds = (performance.now() - began) / 1000;
  if (others > 0 || times.length === 0) {
    throw new Error(`${others} of ${others + times.length} requests were not answered with 200`);
  }
  times.sort((a, b) => a - b);
  const at = q => times[Math.floor(times.length * q)];
  return {
    perSecond: times.length / seconds,
    p50: at(0.5),
    p99: at(0.99),
    cpu: (cpuOf(pids) - cpu) / times.length,
  };
}

module.exports = { measureApplication };

async function main() {
  checkOptions(['rounds', 'duration']);
  setup();
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-'));
  try {
    const app = { ...circumstances(), ...(await measureApplication({ tarballs: pack(), temporary })) };
    console.log(require('./report').report({ app }));
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
}

if (require.main === module) {
  main().catch(error => {
    console.error(error);
    process.exitCode = 1;
  });
}
