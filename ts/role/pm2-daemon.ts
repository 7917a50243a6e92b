/** Reads which pm2 daemon this process's variables speak of. */
import { readlinkSync, realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { readRegularFile } from './read-file';

export interface Pm2Daemon {
  /** The pid in `pm2.pid`; `undefined` where the file can't be read. */
  pid: number | undefined;
  /** PM2_HOME as an absolute path without links, as far as this process can follow them. */
  home: string;
}

/**
 * pm2 writes the pid of its daemon, which is the parent of every app, whether it went to the background or not. It
 * passes PM2_HOME on as it was given. A relative one is meant from the folder in which the daemon was started, which
 * need not be the app's: of all folders that it can be meant from, the one whose daemon is the parent decides.
 */
export function readPm2Daemon(env: NodeJS.ProcessEnv, parent: number): Pm2Daemon {
  const given = env.PM2_HOME || join(homedir(), '.pm2');
  const found = candidates(given, env, parent).map(home => ({ pid: pidIn(home), home: realPath(home) }));
  return found.find(({ pid }) => pid === parent) ?? found.find(({ pid }) => pid !== undefined) ?? found[0];
}

function candidates(given: string, env: NodeJS.ProcessEnv, parent: number): string[] {
  if (isAbsolute(given)) {
    return [resolve(given)];
  }
  const folders = [tried(() => readlinkSync(`/proc/${parent}/cwd`)), tried(() => process.cwd()), env.pm_cwd, env.PWD];
  const known = folders.filter(folder => folder !== undefined && isAbsolute(folder)) as string[];
  // Without any, the path stays what it was.
  return known.length > 0 ? [...new Set(known.map(folder => resolve(folder, given)))] : [given];
}

function pidIn(home: string): number | undefined {
  const pid = Number(readRegularFile(join(home, 'pm2.pid')).trim());
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

function realPath(path: string): string {
  return tried(() => realpathSync(path)) ?? path;
}

function tried<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
