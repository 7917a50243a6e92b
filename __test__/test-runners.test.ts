/** Decisions about what real test runners run: snapshots/runners/ holds what they looked like (see snapshots/take.js). */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Decision, Snapshot } from '../ts/role/decision';
import { decide } from '../ts/role/deployment';

const FOLDER = join(__dirname, 'snapshots', 'runners');
const NAMES = readdirSync(FOLDER).map(file => file.replace('.json', ''));
const RUN_BY_RUNNER = NAMES.filter(name => !name.endsWith('-child'));
const STARTED_BY_TEST = NAMES.filter(name => name.endsWith('-child'));

/** How `explain()` names the runner of a snapshot. */
function nameOf(snapshot: string): string {
  const [first] = snapshot.split('-');
  return { node: 'node:test', bun: 'bun test' }[first] ?? first;
}

function decisionOf(name: string, changes: Partial<Snapshot> = {}): Decision {
  const taken = JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8'));
  const absent = { pm2DaemonPid: undefined, pm2Home: undefined, testRunner: undefined, configuredGroup: undefined };
  return decide({ ...absent, ...taken, ...changes });
}

const IN_ENVIRONMENT = { env: { MIDWAY_PROCESS_AGENT_GROUP: 'billing' } };

test('each runner has snapshots of what it runs, and of what that starts', () => {
  expect(RUN_BY_RUNNER.length).toBeGreaterThanOrEqual(19);
  expect(STARTED_BY_TEST).toEqual(RUN_BY_RUNNER.map(name => `${name}-child`).sort());
});

describe.each(RUN_BY_RUNNER)('an application in a test file of %s', name => {
  test('is standalone, and says why', () => {
    const decision = decisionOf(name);
    expect(decision).toMatchObject({ deployment: 'standalone', groupKey: '', warning: undefined });
    expect(decision.reasons[0]).toContain(`The test runner ${nameOf(name)} runs this`);
  });

  test('is standalone also where the configuration names a group', () => {
    const decision = decisionOf(name, { configuredGroup: 'orders' });
    expect(decision).toMatchObject({ deployment: 'standalone', groupKey: '' });
    expect(decision.reasons[0]).toContain('processAgent.group ("orders") does not count');
  });

  test.each([undefined, 'orders', false] as const)(
    'is in the group of the environment, with the group %s in the configuration',
    configuredGroup => {
      const decision = decisionOf(name, { ...IN_ENVIRONMENT, configuredGroup });
      expect(decision).toMatchObject({ deployment: 'configured', group: 'billing', groupKey: 'configured:billing' });
    },
  );

  test('is in one group with the cluster workers that it has forked', () => {
    const cluster = { isWorker: false, workers: 2, isSetUp: true };
    expect(decisionOf(name, { cluster, startMark: '1' }).deployment).toBe('cluster');
  });
});

describe.each(STARTED_BY_TEST)('an application that a test starts as a process of its own, %s', name => {
  test('is what it is without the test', () => {
    expect(decisionOf(name).reasons.join(' ')).not.toContain('test runner');
    expect(decisionOf(name, { configuredGroup: 'orders' })).toMatchObject({
      deployment: 'configured',
      group: 'orders',
    });
    const cluster = { isWorker: true, workers: 0, isSetUp: false };
    expect(decisionOf(name, { cluster }).deployment).toBe('cluster');
  });
});

describe('runners in other places', () => {
  const withScript = (script: string, env: Record<string, string> = {}) =>
    decisionOf('uvu-child', { argv: ['/usr/bin/node', script], env, configuredGroup: 'orders' });

  test.each([
    '/app/node_modules/.bin/mocha',
    '/usr/local/bin/_mocha',
    'C:\\app\\node_modules\\jest\\bin\\jest.js',
    '/app/node_modules/.pnpm/ava@3.15.0/node_modules/ava/lib/worker/subprocess.js',
    '/app/node_modules/egg-bin/node_modules/mocha/bin/_mocha',
    '/app/node_modules/@tapjs/run/dist/esm/index.js',
  ])('%s is known', script => {
    expect(withScript(script).deployment).toBe('standalone');
  });

  test('the pool that vitest used is one for anything, and known with its variables alone', () => {
    const script = '/app/node_modules/tinypool/dist/entry/process.js';
    expect(withScript(script, { VITEST_POOL_ID: '1' }).reasons[0]).toContain('test runner vitest');
    expect(withScript(script).deployment).toBe('configured');
  });

  test.each(['/app/node_modules/ava-like/cli.js', '/srv/jest/app.js', '/srv/mocha/bootstrap.js'])(
    '%s is not',
    script => {
      expect(withScript(script).deployment).toBe('configured');
    },
  );
});

describe('group: false', () => {
  test('switches grouping off, however the process was started', () => {
    const cluster = { isWorker: true, workers: 0, isSetUp: false };
    const decision = decisionOf('uvu-child', { cluster, configuredGroup: false });
    expect(decision).toMatchObject({ deployment: 'standalone', groupKey: '', warning: undefined });
    expect(decision.reasons[0]).toBe('processAgent.group is false, which switches grouping off.');
  });

  test('is refused beside a name in the environment', () => {
    expect(() => decisionOf('uvu-child', { ...IN_ENVIRONMENT, configuredGroup: false })).toThrow(
      /processAgent\.group is false and MIDWAY_PROCESS_AGENT_GROUP is "billing"/,
    );
  });
});
