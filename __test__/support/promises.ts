import type { Application, WhoAmI } from './application';
import type { Deployed } from './deployments';
import { until } from './until';

/** What every deployment promises, as tests about a running application. Called inside a `describe`. */
export function keepsTheBasicPromises(current: () => Deployed, expected: { deployment: string }): void {
  const application = () => current().application;

  it('has one primary, and every member says so', async () => {
    await application().primary();
    const members = await application().fromEach<WhoAmI>('/whoami');
    expect(new Set(members.map(member => member.deployment))).toEqual(new Set([expected.deployment]));
    expect(members.every(member => member.isPrimary === (member.role === 'primary'))).toBe(true);
  });

  it('reads on every member what was set on one of them', async () => {
    const primary = await application().primary();
    const value = `set-${Date.now()}`;
    expect(await application().get(`/set?value=${value}`)).toMatchObject({ value, executedBy: primary.pid });
    for (const answer of await application().fromEach('/get')) {
      expect(answer).toMatchObject({ value, executedBy: primary.pid });
    }
  });

  it('keeps a method without the decorator in its own process', async () => {
    const { pid, threadId } = await application().get('/set-local?value=mine');
    const answers = await application().fromEach('/get-local');
    for (const answer of answers) {
      const own = answer.pid === pid && answer.threadId === threadId;
      expect(answer).toMatchObject({ executedBy: answer.pid, value: own ? 'mine' : 0 });
    }
  });

  it('runs concurrent calls of all members one by one in the primary', async () => {
    const first = await application().get('/count');
    const answers = await Promise.all(Array.from({ length: 40 }, () => application().get('/count')));
    const counts = answers.map(answer => Number(answer.value) - Number(first.value)).sort((a, b) => a - b);
    expect(counts).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  });

  it('runs the example of the earlier versions unchanged', async () => {
    for (const answer of await application().fromEach<{ pid: number; threadId: number; user: number; data: number }>(
      '/drop-in',
    )) {
      expect(answer).toMatchObject({ user: 1, data: 1 });
    }
  });

  it('lists all members, once each', async () => {
    type Listed = { pid: number; threadId: number; members: { pid: number; threadId: number; role: string }[] };
    const known = await application().fromEach<WhoAmI>('/whoami');
    const name = (one: { pid: number; threadId: number }) => `${one.pid}/${one.threadId}`;
    for (const { members } of await application().fromEach<Listed>('/members')) {
      expect(members.map(name).sort()).toEqual(known.map(name).sort());
      expect(members.filter(member => member.role === 'primary')).toHaveLength(1);
    }
  });
}

/**
 * Kills the primary; then another process answers, in a later epoch, and again there is one primary. `count` members
 * are there before. Not every supervisor replaces the killed one, so one less is enough afterwards.
 */
export async function expectAnotherPrimaryAfterDeath(application: Application, count: number): Promise<void> {
  const left = count - 1;
  // Where more are there, `count` of them may have answered, and not the primary.
  const before = await onePrimary(application, count);
  process.kill(before.pid, 'SIGKILL');
  const answer = await application.firstAnswer('/get', ({ executedBy }) => executedBy !== before.pid);
  expect(answer.executedBy).not.toBe(before.pid);
  const after = await onePrimary(application, left);
  expect(after.pid).not.toBe(before.pid);
  expect(after.epoch).toBeGreaterThan(before.epoch);
  await application.firstAnswer('/set?value=after-death');
  for (const { value } of await application.fromEach('/get', left)) {
    expect(value).toBe('after-death');
  }
}

/** Members learn of a new primary one after the other: asks until they agree. */
export function onePrimary(application: Application, count: number): Promise<WhoAmI> {
  return until(() => application.primary(count), { what: `${count} members to agree on one primary`, timeout: 30_000 });
}
