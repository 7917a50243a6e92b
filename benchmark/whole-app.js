// A koa route that makes one @RunInPrimary() call for each request, beside the same route without a call, the 3.x package
// in the deployment where it works, and a Redis GET over a unix socket.
//   node benchmark/whole-app.js [--rounds=7] [--duration=1500]
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
const { turnsOf } = require('./turns');
const { values } = require('./values');

const CONNECTIONS = 40;
const WARM_UP_MS = 1_000;
const inManager = 'ClusterManager';
const inCluster = 'node:cluster, application in the primary too';
const inOld = 'the same, release 3.20.24';

const says = { plain: 'without a call', call: 'one call', redis: 'one Redis GET' };

const routes = [
  { id: 'plain', deployment: inManager, route: 'plain', plain: 'plain' },
  { id: 'call', deployment: inManager, route: 'call', plain: 'plain' },
  { id: 'redis', deployment: inManager, route: 'redis', plain: 'plain' },
  { id: 'clusterPlain', deployment: inCluster, route: 'plain', plain: 'clusterPlain' },
  { id: 'clusterCall', deployment: inCluster, route: 'call', plain: 'clusterPlain' },
  { id: 'oldPlain', deployment: inOld, route: 'plain', plain: 'oldPlain' },
  { id: 'oldCall', deployment: inOld, route: 'call', plain: 'oldPlain' },
].map(each => ({ ...each, title: `${each.deployment}: ${says[each.route]}` }));

/**
 * The applications are started anew in each round: what V8's collector takes from then on differs from start to start by
 * more than a call. The share of a route is of the same start.
 */
async function measureApplication({ tarballs, temporary }) {
  const rounds = number('rounds', 7);
  const duration = number('duration', 1_500);
  const reasons = {};
  const results = {};
  /** `undefined` if it can't be done; in `reasons` why, and it is not tried again. */
  const attempt = async (what, act) => {
    try {
      return reasons[what] ? undefined : await act();
    } catch (error) {
      reasons[what] = reasonOf(error, temporary);
      return undefined;
    }
  };
  const { deployments, redis } = await prepareAll(tarballs, temporary, attempt);
  try {
    for (let round = 0; round < rounds; round++) {
      for (const name of turnsOf(Object.keys(deployments), round)) {
        const wanted = turnsOf(
          routes.filter(({ deployment, route }) => deployment === name && (route !== 'redis' || redis)),
          round,
        );
        const measured = await attempt(name, () => measureStart(deployments[name], wanted, duration, redis));
        for (const { id, plain } of measured ? wanted : []) {
          results[id] ??= [];
          results[id].push({ ...measured[id], share: measured[id].perSecond / measured[plain].perSecond });
        }
      }
      console.log(`application: round ${round + 1} of ${rounds}`);
    }
  } finally {
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

/** How each deployment is started, and Redis, which is the same for all. */
async function prepareAll(tarballs, temporary, attempt) {
  const home = name => path.join(temporary, `app-${name}`);
  const folder = project('benchmark', { tarballs });
  let env = {};
  const redis = await attempt('Redis', async () => {
    const [peer] = loadPeers(['redis']);
    const client = path.join(installPeer(peer), 'node_modules', 'ioredis');
    const socket = path.join(temporary, 'app-redis.sock');
    const server = await startRedis(socket);
    const connection = new (require(client))(socket);
    await connection.set('value', JSON.stringify(values.small.value));
    await connection.quit();
    env = { BENCHMARK_IOREDIS: client, BENCHMARK_REDIS: socket };
    return server;
  });
  const deployments = {
    [inManager]: () => deploy(folder, 'manager.js', home('manager'), env),
    [inCluster]: () => deploy(folder, 'cluster.js', home('cluster'), {}),
    [inOld]: () => deploy(project('old'), 'cluster.js', home('old'), {}),
  };
  return { deployments, redis };
}

/** Starts an application, warms it up, and measures its routes. */
async function measureStart(start, wanted, duration, redis) {
  const autocannon = createRequire(path.join(project('load'), 'package.json'))('autocannon');
  const deployment = await start();
  try {
    const measured = {};
    for (const { route } of wanted) {
      await load(autocannon, deployment, route, WARM_UP_MS, redis);
    }
    for (const { id, route } of wanted) {
      measured[id] = await load(autocannon, deployment, route, duration, redis);
    }
    return measured;
  } finally {
    await deployment.stop();
  }
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
