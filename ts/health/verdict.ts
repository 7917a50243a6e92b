/** From what is known of the members to what is said of the group. */
import type { ResolvedConfig } from '../config';
import type { Standing } from '../engine/engine';
import { messageOf } from '../guard';
import type { GroupHealth, HealthVerdict, MemberHealth } from '../interface';
import type { CheckReport } from './checks';

type HealthSettings = ResolvedConfig['health'];

const ABNORMAL = new Set<MemberHealth['state']>(['failing', 'stuck', 'frozen', 'dead']);

/** How long (ms) a group may be without a primary: an election takes a small part of it. */
const MAX_LEADERLESS = 2_000;

/** How many members a reason names. */
const MOST_NAMED = 8;

/** One member, from what its Rust side and its own checks say. */
export function memberHealth(standing: Standing, report: CheckReport | undefined, now = Date.now()): MemberHealth {
  const { member, since } = standing;
  const failed = report?.checks.filter(check => !check.status) ?? [];
  const isFailing = standing.state === 'ok' && failed.length > 0;
  const health: MemberHealth = {
    member,
    state: isFailing ? 'failing' : standing.state,
    since: isFailing ? (report?.failingSince ?? since) : since,
    lagMs: member.lagMs,
  };
  if (report) {
    health.checks = report.checks;
  }
  const ms = standing.forMs ?? Math.max(0, now - since);
  switch (health.state) {
    case 'failing':
      health.reason = failed.map(({ namespace, reason }) => `check ${namespace} fails: ${reason}`).join('; ');
      break;
    case 'stuck':
      health.reason = `its event loop has been stuck for ${ms} ms`;
      break;
    case 'frozen':
      health.reason = `its process is frozen, nothing was heard of it for ${ms} ms`;
      break;
    case 'dead':
      health.reason = `it died ${ms} ms ago, without a goodbye`;
      break;
  }
  return health;
}

/** What is said of a group with these members. */
export async function groupHealth(
  settings: Pick<HealthSettings, 'policy' | 'minMembers'>,
  members: MemberHealth[],
  leaderlessFor: number,
): Promise<GroupHealth> {
  const policy = await askPolicy(settings.policy, members);
  const reasons: string[] = [];
  if (leaderlessFor > MAX_LEADERLESS) {
    reasons.push(`the group has had no primary for ${Math.round(leaderlessFor)} ms`);
  }
  const present = members.filter(({ state }) => state !== 'dead' && state !== 'leaving').length;
  if (present < settings.minMembers) {
    reasons.push(`the group has ${present} members, health.minMembers is ${settings.minMembers}`);
  }
  if (!policy.status) {
    reasons.push(policy.reason ?? 'health.policy says no');
  }
  const health: GroupHealth = { status: reasons.length === 0, policy, members };
  if (reasons.length > 0) {
    health.reason = reasons.join('; ');
  }
  return health;
}

async function askPolicy(policy: HealthSettings['policy'], members: MemberHealth[]): Promise<GroupHealth['policy']> {
  const abnormal = members.filter(({ state }) => ABNORMAL.has(state));
  if (policy === 'all' || policy === 'quorum') {
    const fails = policy === 'all' ? abnormal.length > 0 : abnormal.length > 0 && abnormal.length * 2 >= members.length;
    return fails ? { name: policy, status: false, reason: named(abnormal) } : { name: policy, status: true };
  }
  try {
    const given: HealthVerdict = await policy(members);
    const verdict = typeof given === 'object' && given !== null ? given : { status: given };
    if (verdict.status) {
      return { name: 'function', status: true };
    }
    return { name: 'function', status: false, reason: verdict.reason ?? (named(abnormal) || undefined) };
  } catch (error) {
    return { name: 'function', status: false, reason: `health.policy has failed: ${messageOf(error)}` };
  }
}

function named(members: MemberHealth[]): string {
  const names = members.slice(0, MOST_NAMED).map(({ member, reason }) => `${nameOf(member)}: ${reason}`);
  const left = members.length - names.length;
  return names.concat(left > 0 ? [`and ${left} more`] : []).join('; ');
}

function nameOf({ id, pid, threadId, role }: MemberHealth['member']): string {
  return `${role} pid ${pid}${threadId ? ` thread ${threadId}` : ''} (member ${id})`;
}
