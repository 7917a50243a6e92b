/** What is said about the group's primary, in reasons and errors. */
import { type CallOutcome, ProcessAgentError } from '../errors';
import type { Member, Role } from '../interface';
import { readable } from '../prefix';
import { runtime } from '../runtime';

export function roleReason(role: Role | undefined, epoch: number, primary: Member | undefined): string {
  switch (role) {
    case 'primary':
      return `This process holds the lock of the group's folder, so it is primary, in epoch ${epoch}.`;
    case 'worker':
      return primary
        ? `Pid ${primary.pid} holds the lock of the group's folder, so this process is a worker.`
        : 'The primary is gone; the election of the next one is under way.';
    default:
      return 'No election has taken place yet, or the application has left the group.';
  }
}

/** How calls travel. */
export function laneReason({ pollsLanes, spins }: { pollsLanes: boolean; spins: boolean }): string {
  if (!pollsLanes) {
    const why = process.env.MIDWAY_PROCESS_AGENT_LANE === 'thread' ? ', because MIDWAY_PROCESS_AGENT_LANE says so' : '';
    const what = runtime.hasLibuv ? 'this platform' : runtime.name;
    return `A thread reads the calls of other processes${why || `: ${what} does not let the event loop do it`}.`;
  }
  return spins
    ? 'The event loop reads the calls of other processes, and may wait awake for an answer.'
    : 'The event loop reads the calls of other processes; it never waits awake for an answer (processAgent.spin, or one processor).';
}

/** Whether this process may become primary: `config`, if its configuration says that it may not. */
export type Candidacy = 'yes' | 'config' | 'deployment';

export function whyNoPrimary(group: string, folder: string, primary: Member | undefined, candidacy: Candidacy): string {
  if (primary) {
    return `the primary of group ${group}, pid ${primary.pid}, has not finished its own start-up.`;
  }
  return candidacy === 'yes'
    ? `group ${group} has no primary that answers; folder ${folder}.`
    : `${noCandidate(group, candidacy)}; folder ${folder}.`;
}

/** Nobody who may become primary has done so, and this process may not. */
export function noCandidate(group: string, candidacy: Candidacy): string {
  const why = candidacy === 'config' ? 'processAgent.candidate is false' : 'how it was started does not let it';
  return (
    `group ${group} has no primary that answers, and this process may not become one (${why}): start a process of the ` +
    'group that may'
  );
}

/** What is wrong with a frozen primary, and the errors of the calls that fail because of it. */
export function frozen(primary: Member | undefined, silentMs: number) {
  const what = `the primary, pid ${primary?.pid}, has said nothing for ${silentMs} ms: its process is frozen`;
  const why = (name: string, outcome: CallOutcome): ProcessAgentError =>
    new ProcessAgentError(
      'ERR_AGENT_PRIMARY_FROZEN',
      `${readable(name)}: ${what} (processAgent.primary.maxBlocked); ` +
        `${outcome === 'not-sent' ? 'it was not sent' : 'it was sent, and runs when that goes on'}.`,
      { outcome },
    );
  return { what, why };
}
