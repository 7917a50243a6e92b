import { MidwayHealthService } from '@midwayjs/core';
import type { Standing } from '../ts/engine/engine';
import { type CheckReport, OwnChecks } from '../ts/health/checks';
import { bounds } from '../ts/health/group-check';
import { groupHealth, memberHealth } from '../ts/health/verdict';
import type { MemberHealth } from '../ts/interface';
import { ProcessHealthService } from '../ts/service/processHealth.service';
import { closeAll, startApp } from './support/light-app';

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms));
const ok = async () => ({ status: true });

function standing(id: number, state: Standing['state'] = 'ok'): Standing {
  const member = {
    id,
    pid: 100 + id,
    threadId: 0,
    role: id === 1 ? ('primary' as const) : ('worker' as const),
    deployment: 'configured' as const,
    state: 'ready' as const,
    joinedAt: 0,
    startedAt: 0,
    version: '0.0.0',
    candidate: true,
    lagMs: state === 'stuck' ? 1500 : 0,
  };
  return { member, state, since: 1000 };
}

const group = (...states: Standing['state'][]): MemberHealth[] =>
  states.map((state, i) => memberHealth(standing(i + 1, state), undefined, 2500));

describe('the own checks of a process', () => {
  test('run once for all who ask at the same time, and their answer does for a while', async () => {
    let runs = 0;
    const run = async () => {
      runs++;
      await pause(20);
      return { status: true };
    };
    const checks = new OwnChecks(() => [{ namespace: 'app', run }]);
    const reports = await Promise.all([checks.run(500), checks.run(500), checks.run(500)]);
    expect(reports).toEqual(Array(3).fill({ checks: [{ namespace: 'app', status: true }] }));
    await checks.run(500);
    expect(runs).toBe(1);
    await pause(520);
    await checks.run(500);
    expect(runs).toBe(2);
  });

  test.each<[string, () => unknown, string]>([
    ['says so', async () => ({ status: false, reason: 'no database' }), 'no database'],
    ['gives no reason', async () => ({ status: false }), 'it gave no reason'],
    ['rejects', () => Promise.reject(new Error('refused')), 'refused'],
    [
      'throws at once',
      () => {
        throw new Error('broken');
      },
      'broken',
    ],
    [
      'has no status',
      async () => ({}),
      'configuration.onHealthCheck return value must be object and contain status field',
    ],
    ['does not answer', () => new Promise(() => {}), 'no answer within 50 ms'],
  ])('fail when one of them %s, and the others are told as well', async (_what, run, reason) => {
    const checks = new OwnChecks(() => [
      { namespace: 'db', run },
      { namespace: 'app', run: ok },
    ]);
    const { checks: results, failingSince } = await checks.run(50);
    expect(results).toEqual([
      { namespace: 'db', status: false, reason },
      { namespace: 'app', status: true },
    ]);
    expect(Math.abs(Date.now() - (failingSince as number))).toBeLessThan(1000);
  });

  test('say since when they fail, and tell those that still run that nobody waits', async () => {
    let signal: AbortSignal | undefined;
    const run = (controller: AbortController) => {
      signal = controller.signal;
      return new Promise(() => {});
    };
    const checks = new OwnChecks(() => [{ namespace: 'db', run }]);
    const first = await checks.run(10);
    expect(signal?.aborted).toBe(true);
    await pause(520);
    expect((await checks.run(10)).failingSince).toBe(first.failingSince);
  });

  test('leave out a hook that says nothing, as functional configurations have one', async () => {
    const checks = new OwnChecks(() => [{ namespace: 'functional', run: async () => undefined }]);
    expect(await checks.run(50)).toEqual({ checks: [] });
  });
});

describe('a member', () => {
  const failing: CheckReport = {
    checks: [{ namespace: 'db', status: false, reason: 'no database' }],
    failingSince: 1700,
  };

  test('is failing when it runs and one of its checks fails', () => {
    expect(memberHealth(standing(2), failing, 2500)).toMatchObject({
      state: 'failing',
      since: 1700,
      reason: 'check db fails: no database',
      checks: failing.checks,
    });
  });

  test.each(['starting', 'leaving', 'stuck', 'frozen', 'dead'] as const)(
    'that is %s is that, whatever it said',
    state => {
      expect(memberHealth(standing(2, state), failing, 2500)).toMatchObject({ state, since: 1000 });
    },
  );
});

describe('a group', () => {
  const settings = { policy: 'all' as const, minMembers: 0 };

  test('is well with members that start or leave, and not with one that is abnormal, which is named', async () => {
    expect(await groupHealth(settings, group('ok', 'starting', 'leaving'), 0)).toMatchObject({ status: true });
    const { status, reason } = await groupHealth(settings, group('ok', 'stuck', 'dead'), 0);
    expect(status).toBe(false);
    expect(reason).toBe(
      'worker pid 102 (member 2): its event loop has been stuck for 1500 ms; ' +
        'worker pid 103 (member 3): it died 1500 ms ago, without a goodbye',
    );
  });

  test('names eight at the most', async () => {
    const { reason } = await groupHealth(settings, group(...Array(12).fill('dead')), 0);
    expect(reason?.match(/pid/g)).toHaveLength(8);
    expect(reason).toMatch(/; and 4 more$/);
  });

  test('fails without a primary for more than 2 s, and with fewer members than it needs', async () => {
    expect(await groupHealth(settings, group('ok'), 1999)).toMatchObject({ status: true });
    expect(await groupHealth(settings, group('ok'), 2100)).toMatchObject({
      status: false,
      reason: 'the group has had no primary for 2100 ms',
    });
    const members = group('ok', 'starting', 'leaving');
    expect(await groupHealth({ ...settings, minMembers: 2 }, members, 0)).toMatchObject({ status: true });
    expect((await groupHealth({ ...settings, minMembers: 3 }, members, 0)).reason).toContain('has 2 members');
  });

  test('of a quorum fails when half of all are abnormal', async () => {
    const quorum = { ...settings, policy: 'quorum' as const };
    expect((await groupHealth(quorum, group('ok', 'ok', 'dead'), 0)).status).toBe(true);
    expect((await groupHealth(quorum, group('ok', 'dead'), 0)).status).toBe(false);
    expect((await groupHealth(quorum, group(), 0)).status).toBe(true);
  });

  test('of a function fails when that says so, or fails itself', async () => {
    const decide = (policy: (members: MemberHealth[]) => never) =>
      groupHealth({ ...settings, policy }, group('ok', 'dead'), 0);
    const onlyPrimary = (members: MemberHealth[]) =>
      members.every(({ state, member }) => state === 'ok' || member.id > 1);
    expect(await decide(onlyPrimary as never)).toMatchObject({ status: true, policy: { name: 'function' } });
    expect((await decide((() => ({ status: false, reason: 'too few' })) as never)).reason).toBe('too few');
    expect((await decide((async () => false) as never)).reason).toContain('pid 102');
    const thrown = await decide(() => {
      throw new Error('oops');
    });
    expect(thrown).toMatchObject({ status: false, reason: 'health.policy has failed: oops' });
  });
});

test.each([1000, 300, 5000])('a look at the group ends before Midway loses patience after %i ms', midways => {
  const { whole, checks } = bounds(midways);
  expect(checks).toBeLessThan(whole);
  expect(whole).toBeLessThan(midways);
});

describe('an application that is alone', () => {
  afterEach(closeAll);

  test('is well for Midway, and its picture shows its own checks', async () => {
    const app = await startApp([], { health: { minMembers: 5, policy: () => false } });
    const midway = await app.get(MidwayHealthService);
    expect((await midway.getStatus()).results).toContainEqual({ namespace: 'process-agent', status: true });
    const seen = await (await app.get(ProcessHealthService)).getStatus();
    expect(seen.members).toMatchObject([{ state: 'ok', member: { pid: process.pid }, checks: [] }]);
    expect(seen).toMatchObject({ status: false, policy: { name: 'function', status: false } });
  });
});
