/** What the operating system tells of a process. What can't be read proves nothing, and is empty. */
import { execFileSync } from 'node:child_process';
import { readRegularFile } from './read-file';

/** An opaque mark of when the process started; '' where it can't be had. */
export function startMark(pid: number): string {
  switch (process.platform) {
    case 'linux':
      return startTimeInStat(readRegularFile(`/proc/${pid}/stat`));
    case 'darwin':
      return fromPs('lstart', pid).trim().replace(/\s+/g, ' ');
    default:
      return '';
  }
}

/** Field 22, in clock ticks since boot. The second field is the command in brackets, which may hold `) ` itself. */
export function startTimeInStat(stat: string): string {
  const afterCommand = stat.lastIndexOf(') ');
  return afterCommand < 0 ? '' : (stat.slice(afterCommand + 2).split(' ')[19] ?? '');
}

/** The program and its arguments. On macOS arguments are told apart by spaces alone; Windows does not tell them. */
export function readCommandLine(pid: number | 'self'): string[] {
  switch (process.platform) {
    case 'linux':
      return readRegularFile(`/proc/${pid}/cmdline`).split('\0');
    case 'darwin':
      return fromPs('args', pid === 'self' ? process.pid : pid)
        .trim()
        .split(/\s+/);
    default:
      return [];
  }
}

function fromPs(column: string, pid: number): string {
  try {
    // One language and one time zone, or two members would print the same moment differently.
    const env = { LC_ALL: 'C', TZ: 'UTC0' } as NodeJS.ProcessEnv;
    return execFileSync('/bin/ps', ['-ww', '-o', `${column}=`, '-p', String(pid)], {
      env,
      encoding: 'utf8',
      timeout: 2000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return '';
  }
}
