/** Decisions about real processes: snapshots/ holds what they looked like (see snapshots/take.js). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Decision, Snapshot } from '../ts/role/decision';
import { decide } from '../ts/role/deployment';
import { startTimeInStat } from '../ts/role/process-info';
import { takeSnapshot } from '../ts/role/snapshot';

const FOLDER = join(__dirname, 'snapshots');

function snapshot(name: string, changes: Partial<Snapshot> = {}): Snapshot {
  const taken = JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8'));
  const absent = { pm2DaemonPid: undefined, pm2Home: undefined, testRunner: undefined, configuredGroup: undefined };
  return { ...absent, ...taken, ...changes };
}

function decisionOf(name: string, changes?: Partial<Snapshot>): Decision {
  return decide(snapshot(name, changes));
}

function withEnv(name: string, env: Record<string, string>): Partial<Snapshot> {
  return { env: { ...snapshot(name).env, ...env } };
}

/** `first` goes first in the election, `waits` waits for somebody who does, `equal` does neither. */
type Turn = 'first' | 'waits' | 'equal';

const HIDDEN = /through another program.*MIDWAY_PROCESS_AGENT_GROUP/;
const MANY_CLUSTERS = /each instance's cluster is a group with a primary of its own.*MIDWAY_PROCESS_AGENT_GROUP/;

type Row = [sentence: string, file: string, deployment: string, group: RegExp, turn: Turn, warning?: RegExp];

const TABLE: Row[] = [
  ['a plain process is standalone', 'standalone', 'standalone', /^standalone$/, 'equal'],
  ['a group name in the environment makes a group', 'configured', 'configured', /^orders$/, 'equal'],
  ['the main thread of a process with threads is standalone', 'plain-main', 'standalone', /^standalone$/, 'equal'],
  ['a worker thread of a plain process', 'plain-thread-1', 'thread', /^thread:\d+$/, 'equal'],
  ['another thread of it', 'plain-thread-2', 'thread', /^thread:\d+$/, 'equal'],
  ["a thread of jest's pool is standalone", 'jest-thread', 'standalone', /^standalone$/, 'equal'],
  ['a cluster primary goes first', 'cluster-primary', 'cluster', /^cluster:\d+$/, 'first'],
  ['a cluster worker', 'cluster-worker-1', 'cluster', /^cluster:\d+$/, 'equal'],
  ['another cluster worker', 'cluster-worker-2', 'cluster', /^cluster:\d+$/, 'equal'],
  ["a cluster worker's thread is in the cluster's group", 'cluster-worker-thread', 'cluster', /^cluster:\d+$/, 'equal'],
  ['a cluster primary that has the package', 'cluster-reserved-primary', 'cluster', /^cluster:\d+$/, 'first'],
  ['its worker waits for it', 'cluster-reserved-worker-1', 'cluster', /^cluster:\d+$/, 'waits'],
  ["a worker of Midway 3's ClusterManager", 'midway3-worker-1', 'midway-cluster', /^cluster:\d+$/, 'equal'],
  ["another worker of Midway 3's", 'midway3-worker-2', 'midway-cluster', /^cluster:\d+$/, 'equal'],
  ["a worker of Midway 4's ClusterManager", 'midway4-worker-1', 'midway-cluster', /^cluster:\d+$/, 'equal'],
  ["another worker of Midway 4's", 'midway4-worker-2', 'midway-cluster', /^cluster:\d+$/, 'equal'],
  ['instance 0 of pm2 in cluster mode', 'pm2-cluster-0', 'pm2-cluster', /^pm2:default\/api$/, 'first'],
  ['instance 1 of pm2 in cluster mode', 'pm2-cluster-1', 'pm2-cluster', /^pm2:default\/api$/, 'waits'],
  ['instance 2 of pm2 in cluster mode', 'pm2-cluster-2', 'pm2-cluster', /^pm2:default\/api$/, 'waits'],
  ['instance 0 of pm2 in fork mode', 'pm2-fork-0', 'pm2-fork', /^pm2:default\/api$/, 'first'],
  ['instance 1 of pm2 in fork mode', 'pm2-fork-1', 'pm2-fork', /^pm2:default\/api$/, 'waits'],
  ['instance 2 of pm2 in fork mode', 'pm2-fork-2', 'pm2-fork', /^pm2:default\/api$/, 'waits'],
  ['instance 0 with a renamed instance_var', 'pm2-renamed-0', 'pm2-fork', /^pm2:default\/api$/, 'first'],
  ['instance 1 with a renamed instance_var', 'pm2-renamed-1', 'pm2-fork', /^pm2:default\/api$/, 'waits'],
  ['an app in another namespace of pm2', 'pm2-namespace-0', 'pm2-cluster', /^pm2:blue\/api$/, 'first'],
  ['instance 0 under pm2-runtime', 'pm2-runtime-0', 'pm2-cluster', /^pm2:default\/api$/, 'first'],
  ['instance 1 under pm2-runtime', 'pm2-runtime-1', 'pm2-cluster', /^pm2:default\/api$/, 'waits'],
  ['instance 0 under pm2 --no-daemon', 'pm2-no-daemon-0', 'pm2-cluster', /^pm2:default\/api$/, 'first'],
  ['instance 1 under pm2 --no-daemon', 'pm2-no-daemon-1', 'pm2-cluster', /^pm2:default\/api$/, 'waits'],
  ["fork mode where pm2's pid file can't be read", 'pm2-uid-fork-0', 'pm2-fork', /^pm2:default\/api-fork$/, 'first'],
  ['cluster mode where it can not', 'pm2-uid-cluster-0', 'pm2-cluster', /^pm2:default\/api-cluster$/, 'first'],
  ['an app of pm2 with one instance', 'pm2-parent', 'pm2-fork', /^pm2:default\/api$/, 'first'],
  ['a process below it, whose parent is not known', 'pm2-child', 'standalone', /^standalone$/, 'equal', HIDDEN],
  ['an app of a pm2 that npm started', 'pm2-under-npm-parent', 'pm2-fork', /^pm2:default\/api$/, 'first'],
  ['a process below that one', 'pm2-under-npm-child', 'standalone', /^standalone$/, 'equal', HIDDEN],
  ['the main thread of a pm2 app', 'pm2-main', 'pm2-fork', /^pm2:default\/api$/, 'first'],
  ['its thread lets the main thread go first', 'pm2-thread-1', 'pm2-fork', /^pm2:default\/api$/, 'waits'],
  ['a cluster primary that pm2 started', 'pm2-node-cluster-primary', 'cluster', /^cluster:\d+$/, 'first'],
  ['its worker', 'pm2-node-cluster-worker-1', 'cluster', /^cluster:\d+$/, 'equal'],
  ['ClusterManager inside a pm2 app', 'pm2-midway-0-worker-1', 'midway-cluster', /^cluster:\d+$/, 'equal'],
  ['and in its second one', 'pm2-midway-1-worker-1', 'midway-cluster', /^cluster:\d+$/, 'equal', MANY_CLUSTERS],
  ['pm2 start npm -- start', 'pm2-npm', 'standalone', /^standalone$/, 'equal', HIDDEN],
  ['pm2 start "npm start"', 'pm2-npm-line', 'standalone', /^standalone$/, 'equal', HIDDEN],
  ['pm2 start start.sh', 'pm2-bash', 'standalone', /^standalone$/, 'equal', HIDDEN],
  ['pm2 start tsx -- app.ts', 'pm2-tsx', 'standalone', /^standalone$/, 'equal', HIDDEN],
  ["egg's app worker", 'egg-worker-1', 'egg', /^egg:\d+$/, 'equal'],
  ["egg's second app worker", 'egg-worker-2', 'egg', /^egg:\d+$/, 'equal'],
  ["egg's agent worker", 'egg-agent', 'egg', /^egg:\d+$/, 'equal'],
  ["egg's app worker as a thread", 'egg-thread-worker', 'egg', /^egg:\d+$/, 'equal'],
  ["egg's agent worker as a thread", 'egg-thread-agent', 'egg', /^egg:\d+$/, 'equal'],
];

describe('each kind of start is known for what it is', () => {
  // As objects: jest would fill a place that a row leaves out with its own callback.
  test.each(TABLE.map(row => ({ row, sentence: row[0] })))('$sentence', ({ row }) => {
    const [, file, deployment, group, turn, warning] = row;
    const decision = decisionOf(file);
    expect(decision.deployment).toBe(deployment);
    expect(decision.group).toMatch(group);
    expect(decision.groupKey === '').toBe(deployment === 'standalone');
    expect(turnOf(decision)).toBe(turn);
    expect(decision.warning).toEqual(warning ? expect.stringMatching(warning) : undefined);
    expect(decision.candidate).toBe(!/agent$/.test(file));
    expect(decision.reasons.length).toBeGreaterThan(0);
    for (const reason of decision.reasons) {
      expect(reason).toMatch(/^\p{L}.*\.$/u);
    }
  });

  test('no snapshot is left out', () => {
    const files = readdirSync(FOLDER).filter(file => file.endsWith('.json'));
    expect(TABLE.map(([, file]) => `${file}.json`).sort()).toEqual(files.sort());
  });
});

function turnOf({ preferred, waitForPreferred }: Decision): Turn {
  return preferred ? 'first' : waitForPreferred ? 'waits' : 'equal';
}

describe('processes of one application share a key', () => {
  test.each([
    [['cluster-primary', 'cluster-worker-1', 'cluster-worker-2', 'cluster-worker-thread']],
    [['cluster-reserved-primary', 'cluster-reserved-worker-1']],
    [['midway3-worker-1', 'midway3-worker-2']],
    [['midway4-worker-1', 'midway4-worker-2']],
    [['plain-thread-1', 'plain-thread-2']],
    [['pm2-cluster-0', 'pm2-cluster-1', 'pm2-cluster-2']],
    [['pm2-fork-0', 'pm2-fork-1', 'pm2-fork-2']],
    [['pm2-renamed-0', 'pm2-renamed-1']],
    [['pm2-runtime-0', 'pm2-runtime-1']],
    [['pm2-main', 'pm2-thread-1']],
    [['pm2-node-cluster-primary', 'pm2-node-cluster-worker-1']],
    [['egg-worker-1', 'egg-worker-2', 'egg-agent']],
    [['egg-thread-worker', 'egg-thread-agent']],
  ])('%j', files => {
    expect(new Set(files.map(file => decisionOf(file).groupKey)).size).toBe(1);
  });

  test('both modes of one pm2 do, so that a change of the mode makes no second group', () => {
    const { ppid, parentStartMark, pm2DaemonPid } = snapshot('pm2-cluster-0');
    const changed = decisionOf('pm2-fork-0', { ppid, parentStartMark, pm2DaemonPid });
    expect(changed.groupKey).toBe(decisionOf('pm2-cluster-0').groupKey);
  });

  test('any processes with one group name do', () => {
    const given = { configuredGroup: 'orders' };
    const key = 'configured:orders';
    expect(decisionOf('configured').groupKey).toBe(key);
    expect(decisionOf('standalone', given).groupKey).toBe(key);
    expect(decisionOf('pm2-npm', given)).toMatchObject({ deployment: 'configured', groupKey: key, warning: undefined });
    expect(decisionOf('plain-thread-1', given).groupKey).toBe(key);
  });

  test('a daemon with several names for its folder is one', () => {
    for (const PM2_HOME of ['/app/home/.pm2/', './.pm2', '/link/to/.pm2']) {
      const other = decisionOf('pm2-fork-1', withEnv('pm2-fork-1', { PM2_HOME }));
      expect(other.groupKey).toBe(decisionOf('pm2-fork-0').groupKey);
    }
  });
});

describe('processes of different applications never share a key', () => {
  test('two runs of one manager, two managers and two namespaces are different groups', () => {
    const files = [
      'cluster-worker-1',
      'cluster-reserved-worker-1',
      'midway3-worker-1',
      'midway4-worker-1',
      'plain-thread-1',
      'pm2-cluster-0',
      'pm2-namespace-0',
      'pm2-uid-fork-0',
      'pm2-node-cluster-worker-1',
      'pm2-midway-0-worker-1',
      'pm2-midway-1-worker-1',
      'egg-worker-1',
      'egg-thread-worker',
      'configured',
    ];
    expect(new Set(files.map(file => decisionOf(file).groupKey)).size).toBe(files.length);
  });

  test('a cluster primary with a reused pid is another group', () => {
    const later = decisionOf('cluster-worker-1', { parentStartMark: '999999' });
    expect(later.groupKey).not.toBe(decisionOf('cluster-worker-1').groupKey);
  });

  test('two daemons of pm2 are two groups, whatever both are told of PM2_HOME', () => {
    const { ppid } = snapshot('pm2-fork-0');
    const other = decisionOf('pm2-fork-0', { ppid: ppid + 1, pm2DaemonPid: ppid + 1 });
    expect(other).toMatchObject({ deployment: 'pm2-fork', group: 'pm2:default/api' });
    expect(other.groupKey).not.toBe(decisionOf('pm2-fork-0').groupKey);
  });

  test('so are a daemon and a later one with its pid', () => {
    const later = decisionOf('pm2-fork-0', { parentStartMark: '999999' });
    expect(later.groupKey).not.toBe(decisionOf('pm2-fork-0').groupKey);
  });

  test('and where a start can not be told, two with different folders', () => {
    const here = decisionOf('pm2-fork-0', { parentStartMark: '' });
    const there = decisionOf('pm2-fork-0', { parentStartMark: '', pm2Home: '/srv/.pm2' });
    expect(there.groupKey).not.toBe(here.groupKey);
  });

  test('names and namespaces of pm2 that hold what stands between them are told apart', () => {
    const keys = [
      { namespace: 'a', name: 'b:c' },
      { namespace: 'a:b', name: 'c' },
      { namespace: 'a","b', name: 'c' },
    ].map(env => decisionOf('pm2-fork-0', withEnv('pm2-fork-0', env)).groupKey);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('what children inherit proves nothing', () => {
  test("a worker of a pm2 app's cluster does not wait for the primary of another cluster", () => {
    const env = withEnv('cluster-worker-1', { MIDWAY_PROCESS_AGENT_PRIMARY: '1' });
    expect(decisionOf('cluster-worker-1', env).waitForPreferred).toBe(false);
  });

  test('a plain child of a ClusterManager worker is standalone', () => {
    const env = withEnv('standalone', { MIDWAY_FORK_MODE: 'cluster' });
    expect(decisionOf('standalone', env).deployment).toBe('standalone');
  });

  test("an application's thread in a process that a test started is not taken for the test runner's", () => {
    const env = withEnv('plain-thread-1', { JEST_WORKER_ID: '1' });
    expect(decisionOf('plain-thread-1', env).deployment).toBe('thread');
  });

  test('a child of a pm2 app that has loaded this package is known for it', () => {
    const { ppid } = snapshot('pm2-child');
    const env = { MIDWAY_PROCESS_AGENT_PRIMARY: String(ppid) };
    const child = decisionOf('pm2-child', withEnv('pm2-child', env));
    expect(child).toMatchObject({ deployment: 'standalone', warning: undefined });
    expect(child.reasons.join(' ')).toMatch(/has loaded this package/);
    // That one of its ancestors has loaded it proves nothing: pm2 may have been started by an application.
    const grandchild = decisionOf(
      'pm2-child',
      withEnv('pm2-child', { MIDWAY_PROCESS_AGENT_PRIMARY: String(ppid + 1) }),
    );
    expect(grandchild.warning).toMatch(HIDDEN);
  });

  test('it is known also when it has loaded this package itself', () => {
    const { pid, ppid } = snapshot('pm2-child');
    const warningWith = (value: string) =>
      decisionOf('pm2-child', withEnv('pm2-child', { MIDWAY_PROCESS_AGENT_PRIMARY: value })).warning;
    expect(warningWith(`${pid}/${ppid}`)).toBeUndefined();
    expect(warningWith(`${pid}`)).toMatch(HIDDEN);
  });

  test('threads of an application behind a launcher of pm2 are warned about, too', () => {
    const thread = { thread: { isMain: true, id: 0, hasMembers: true } };
    expect(decisionOf('pm2-tsx', thread)).toMatchObject({
      deployment: 'thread',
      warning: expect.stringMatching(HIDDEN),
    });
    expect(decisionOf('pm2-main', thread).warning).toBeUndefined();
  });

  test("a child of a pm2 app is told apart also where the daemon's pid can't be read", () => {
    expect(decisionOf('pm2-child', { pm2DaemonPid: undefined }).deployment).toBe('standalone');
    expect(decisionOf('pm2-node-cluster-worker-1', { pm2DaemonPid: undefined }).deployment).toBe('cluster');
  });
});

test("an app whose daemon is not the one in pm2's pid file is warned about, since its group can't be proved", () => {
  const decision = decisionOf('pm2-fork-1', { pm2DaemonPid: 1 });
  expect(decision).toMatchObject({ deployment: 'standalone', groupKey: '' });
  expect(decision.warning).toMatch(/pm2\.pid names 1.*MIDWAY_PROCESS_AGENT_GROUP/);
});

test("where pm2's pid file can't be read, its own script shows the parent to be the daemon, and explain() says so", () => {
  const decision = decisionOf('pm2-uid-fork-0');
  const { ppid, parentStartMark } = snapshot('pm2-uid-fork-0');
  expect(decision.reasons[0]).toMatch(/pm2\.pid can't be read, so its parent \d+ is taken for the daemon\.$/);
  expect(decision.groupKey).toContain(`[${ppid},"${parentStartMark}",`);
});

describe('managers in other forms', () => {
  test.each([
    'C:\\app\\node_modules\\egg-cluster\\lib\\app_worker.js',
    '/app/node_modules/@eggjs/cluster/dist/commonjs/app_worker.js',
    '/app/node_modules/.pnpm/egg-cluster@2.5.0/node_modules/egg-cluster/dist/app_worker.js',
  ])("egg's app worker is known by its script %s", script => {
    expect(decisionOf('cluster-worker-1', { argv: ['node', script] }).deployment).toBe('egg');
  });

  test.each(['/usr/bin/yarn', '/app/node_modules/.bin/tsx', '/app/start', 'C:\\nodejs\\npm.cmd'])(
    'pm2 behind %s is warned about',
    launcher => {
      const changes = withEnv('pm2-child', { pm_exec_path: launcher });
      expect(decisionOf('pm2-child', changes).warning).toMatch(HIDDEN);
    },
  );

  test('a cluster primary whose workers are all dead is still one', () => {
    const alone = { isWorker: false, workers: 0, isSetUp: true };
    expect(decisionOf('cluster-primary', { cluster: alone }).deployment).toBe('cluster');
  });

  test('a pm2 app without an instance number waits for one that has 0', () => {
    const { NODE_APP_INSTANCE: _, ...env } = snapshot('pm2-fork-0').env;
    expect(turnOf(decisionOf('pm2-fork-0', { env }))).toBe('waits');
  });

  test('where processes have no start mark, the pid alone makes the key', () => {
    const worker = decisionOf('cluster-worker-1', { platform: 'win32', parentStartMark: '' });
    const primary = decisionOf('cluster-primary', { platform: 'win32', startMark: '' });
    expect(worker.groupKey).toBe(primary.groupKey);
  });

  test('outside Linux a thread says what it can not see', () => {
    expect(decisionOf('plain-thread-1', { platform: 'darwin' }).reasons.join(' ')).toMatch(/can't see on darwin/);
  });
});

describe('a group name that is not allowed is refused, naming where it came from', () => {
  const VARIABLE = 'MIDWAY_PROCESS_AGENT_GROUP';

  test('for its characters', () => {
    expect(() => decisionOf('standalone', { configuredGroup: 'a/b' })).toThrow(
      expect.objectContaining({
        code: 'ERR_AGENT_CONFIG',
        message: expect.stringMatching(/^processAgent\.group .*"\/"/),
      }),
    );
  });

  test('for its length, without repeating it', () => {
    const name = 'x'.repeat(300);
    expect(() => decisionOf('standalone', { env: { [VARIABLE]: name } })).toThrow(/GROUP has 300 characters\. Give it/);
    expect(() => decisionOf('standalone', { env: { [VARIABLE]: name } })).not.toThrow(/xxx/);
  });

  test('for being empty, in the configuration; an empty variable is none', () => {
    expect(() => decisionOf('standalone', { configuredGroup: '' })).toThrow(/has 0 characters/);
    expect(decisionOf('standalone', { env: { [VARIABLE]: '' } }).deployment).toBe('standalone');
  });

  test('for differing from the other place', () => {
    const both = (group: string) => decisionOf('standalone', { configuredGroup: group, env: { [VARIABLE]: 'orders' } });
    expect(() => both('billing')).toThrow(/"billing".*"orders"/);
    expect(both('orders').groupKey).toBe('configured:orders');
  });

  test.each(['a', 'A-1_b.c:d@e', 'x'.repeat(100)])('%s is allowed', name => {
    expect(decisionOf('standalone', { configuredGroup: name }).group).toBe(name);
  });
});

describe('taking a snapshot', () => {
  test('start marks are read only when the decision needs them', () => {
    const never = () => {
      throw new Error('read');
    };
    const lazy = (name: string) =>
      Object.defineProperties(snapshot(name), { startMark: { get: never }, parentStartMark: { get: never } });
    for (const file of ['standalone', 'configured', 'pm2-child', 'pm2-npm', 'jest-thread']) {
      expect(() => decide(lazy(file))).not.toThrow();
    }
    expect(() => decide(lazy('cluster-worker-1'))).toThrow('read');
    expect(() => decide(lazy('pm2-fork-1'))).toThrow('read');
  });

  test('the start time is found behind any command name', () => {
    const fields = Array.from({ length: 30 }, (_, index) => String(index + 1)).slice(2);
    expect(startTimeInStat(`17 (a) b (c) ${fields.join(' ')}`)).toBe('22');
    expect(startTimeInStat('')).toBe('');
  });

  test('it shows this process', () => {
    const { pid, ppid, platform } = process;
    const taken = takeSnapshot('orders');
    expect(taken).toMatchObject({ pid, ppid, platform, thread: { isMain: true, id: 0 }, configuredGroup: 'orders' });
    expect(taken.cluster).toEqual({ isWorker: false, workers: 0, isSetUp: false });
    expect(taken.startMark).toBe(takeSnapshot().startMark);
    expect(taken.startMark === '').toBe(platform === 'win32');
  });
});
