/** How a process knows that its parent has loaded this package: by a variable that says whose environment it is. */
import type { Snapshot } from './decision';

const VARIABLE = 'MIDWAY_PROCESS_AGENT_PRIMARY';

/**
 * Notes in this process's own environment that it has loaded this package: its pid, and behind a slash that of its
 * parent, if that has loaded it too. Set at load, because a child takes the environment of the moment of its start.
 * Further descendants inherit it and are not misled: a reader compares it with its own parent's pid. Threads have a
 * copy, in which this process is named already.
 */
export function announceToChildren(): void {
  const { env, pid, ppid } = process;
  const [noted] = (env[VARIABLE] ?? '').split('/');
  if (noted !== String(pid)) {
    env[VARIABLE] = noted === String(ppid) ? `${pid}/${ppid}` : String(pid);
  }
}

/** Whether the parent of this process has loaded this package, before it started this process. */
export function parentCarriesPackage({ env, pid, ppid }: Snapshot): boolean {
  const [noted, before] = (env[VARIABLE] ?? '').split('/');
  return (noted === String(pid) ? before : noted) === String(ppid);
}
