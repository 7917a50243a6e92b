/**
 * What pm2 shows of itself. Every child of a pm2 app inherits all of pm2's variables, so they prove nothing: an app is
 * what pm2's daemon is the parent of.
 */
import type { Decision, Snapshot } from './decision';
import { parentCarriesPackage } from './parent';

/** pm2 runs each app inside one of these; a child of the app runs a script of its own. */
const CONTAINER = /[\\/]pm2[\\/]lib[\\/]ProcessContainer(Fork)?(Bun)?\.js$/;

export function isPm2App(snapshot: Snapshot): boolean {
  if (snapshot.env.pm_id === undefined) {
    return false;
  }
  if (snapshot.pm2DaemonPid !== undefined) {
    return snapshot.ppid === snapshot.pm2DaemonPid;
  }
  // Started for another user (`uid`), an app can't read the daemon's pid.
  return runsInContainer(snapshot);
}

function runsInContainer({ argv, cluster, env, thread }: Snapshot): boolean {
  // A node:cluster worker of a fork mode app runs the same container script as the app.
  if (cluster.isWorker !== (env.exec_mode === 'cluster_mode')) {
    return false;
  }
  return thread.isMain ? CONTAINER.test(argv[1] ?? '') : cluster.isWorker;
}

export function pm2Decision(snapshot: Snapshot): Decision {
  const { env } = snapshot;
  const { name = '', namespace = 'default' } = env;
  const deployment = env.exec_mode === 'cluster_mode' ? 'pm2-cluster' : 'pm2-fork';
  const preferred = instanceNumber(snapshot) === '0';
  return {
    deployment,
    group: `pm2:${namespace}/${name}`,
    groupKey: `pm2:${JSON.stringify([...daemonOf(snapshot), namespace, name])}`,
    candidate: true,
    preferred,
    waitForPreferred: !preferred,
    reasons: [
      snapshot.pm2DaemonPid === undefined
        ? `pm2 started this process: it runs in pm2's own script. ${pidFile(snapshot)} can't be read, so its parent ` +
          `${snapshot.ppid} is taken for the daemon.`
        : `pm2 started this process: its parent ${snapshot.ppid} is the daemon named in ${pidFile(snapshot)}.`,
      `All instances of the app "${name}" in the namespace "${namespace}" of this daemon are one group.`,
      preferred
        ? 'It is instance 0, which goes first in the election.'
        : `It is instance ${instanceNumber(snapshot) ?? 'without a number'}, so instance 0 goes first in the election.`,
    ],
    warning: undefined,
  };
}

/** `instance_var` may rename the variable. */
function instanceNumber({ env }: Snapshot): string | undefined {
  return env[env.instance_var || 'NODE_APP_INSTANCE'];
}

/**
 * What tells daemons apart: the process itself, which is the parent. Not its folder, which has several names. The name
 * must do where nothing else tells a daemon from an earlier one with its pid.
 */
function daemonOf({ ppid, parentStartMark, pm2Home }: Snapshot): [pid: number, mark: string] {
  return [ppid, parentStartMark || `${pm2Home}`];
}

function pidFile({ pm2Home }: Snapshot): string {
  return `${pm2Home}/pm2.pid`;
}

/**
 * For a process with pm2's variables that pm2 has not started itself: what its user should know. Nothing, when its
 * parent has loaded this package: then that is the app, and this one a child of it.
 */
export function hiddenWarning(snapshot: Snapshot): string | undefined {
  const { env } = snapshot;
  if (env.pm_id === undefined || isPm2App(snapshot) || parentCarriesPackage(snapshot)) {
    return undefined;
  }
  return runsInContainer(snapshot) ? daemonWarning(snapshot) : launcherWarning(snapshot);
}

function launcherWarning({ env, ppid }: Snapshot): string {
  return (
    `pm2 started "${env.name}", but through another program (${env.pm_exec_path}, process ${ppid}), so this process ` +
    "can't be told from a child of the app and has no group with other instances: with more than one, each would be " +
    'primary. Let pm2 start the application\'s own script (for example "pm2 start bootstrap.js"), or set ' +
    'MIDWAY_PROCESS_AGENT_GROUP or processAgent.group to one name for all instances.'
  );
}

/** An app of a daemon whose pid file another daemon has overwritten, e.g. with one PM2_HOME in two containers. */
function daemonWarning(snapshot: Snapshot): string {
  const { env, pm2DaemonPid, ppid } = snapshot;
  return (
    `This process looks like an instance of the pm2 app "${env.name}", but ${pidFile(snapshot)} names ` +
    `${pm2DaemonPid} and not its parent ${ppid}, so it is standalone: with more than one instance, each would be ` +
    'primary. Give each pm2 daemon a PM2_HOME of its own, or set MIDWAY_PROCESS_AGENT_GROUP or processAgent.group to ' +
    'one name for all instances.'
  );
}

/** Each instance of an app that forks a cluster has a group of its own; with more than one, that may surprise. */
export function instancesWarning(snapshot: Snapshot): string | undefined {
  const instance = snapshot.env.pm_id === undefined ? undefined : instanceNumber(snapshot);
  if (instance === undefined || instance === '0') {
    return undefined;
  }
  return (
    `This cluster belongs to instance ${instance} of the pm2 app "${snapshot.env.name}": each instance's cluster is ` +
    'a group with a primary of its own. For one primary in all of them, set processAgent.group or ' +
    'MIDWAY_PROCESS_AGENT_GROUP to one name.'
  );
}
