import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Standing } from '../ts/engine/engine';
import type { CheckReport } from '../ts/health/checks';
import { groupHealth, memberHealth } from '../ts/health/verdict';
import type { Member } from '../ts/interface';

/** What is said of some groups: `src/admin/verdict.rs` is tested with the same file. */
interface Verdicts {
  /** What all members have in common. */
  member: Member;
  since: number;
  now: number;
  cases: {
    what: string;
    policy: 'all' | 'quorum';
    minMembers: number;
    members: (Partial<Member> & { id: number; state: Standing['state']; report?: CheckReport })[];
    status: boolean;
    reason?: string;
    /** `checks` is their number. */
    said: { state: string; since: number; checks?: number; reason?: string }[];
  }[];
}

const verdicts: Verdicts = JSON.parse(readFileSync(join(__dirname, 'support', 'verdicts.json'), 'utf8'));

test.each(verdicts.cases)('the service and the admin endpoint say the same of $what', async each => {
  const { policy, minMembers, members, status, reason, said } = each;
  const seen = members.map(({ state, report, ...own }) => {
    const standing = { member: { ...verdicts.member, ...own } as Member, state, since: verdicts.since };
    return memberHealth(standing, report, verdicts.now);
  });
  const health = await groupHealth({ policy, minMembers }, seen, 0);
  expect([health.status, health.reason]).toEqual([status, reason]);
  expect(
    health.members.map(({ state, since, checks, reason }) => ({ state, since, checks: checks?.length, reason })),
  ).toEqual(said);
});
