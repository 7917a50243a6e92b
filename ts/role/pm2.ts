/**
 * What pm2 shows of itself. Every child of a pm2 app inherits all of pm2's variables, so they prove nothing: an app is
 * what pm2's daemon is the parent of.
 */
import type { Decision, Snapshot } from './decision';

/** pm2 runs each app inside one of these; a child of the app runs a script of its own. */
const CONTAINER = /[\\/]pm2[\\/]lib[\\/]ProcessContainer(Fork)?(Bun)?\.js$/;
/** What starts an application rather than being one: package managers and shells, and package managers' own scripts. */
const LAUNCHER = /(^|[\\/])(npm|npx|yarn|yarnpkg|pnpm|pnpx|bun|bunx|bash|dash|sh|zsh)(-cli)?(\.[cm]?js|\.cmd|\.exe)?$/i;
const RUNTIME = /(^|[\\/])(node|nodejs|bun)(\.exe)?$/i;

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
  const { PM2_HOME = '', name = '', namespace = 'default' } = env;
  const deployment = env.exec_mode === 'cluster_mode' ? 'pm2-cluster' : 'pm2-fork';
  const preferred = instanceNumber(snapshot) === '0';
  return {
    deployment,
    group: `pm2:${namespace}/${name}`,
    groupKey: `pm2:${PM2_HOME.replace(/[\\/]+$/, '')}:${namespace}:${name}`,
    candidate: true,
    preferred,
    waitForPreferred: !preferred,
    reasons: [
      snapshot.pm2DaemonPid === undefined
        ? `pm2 started this process: it runs in pm2's own script (${PM2_HOME}/pm2.pid can't be read).`
        : `pm2 started this process: its parent ${snapshot.ppid} is the daemon named in ${PM2_HOME}/pm2.pid.`,
      `All instances of the app "${name}" in the namespace "${namespace}" are one group.`,
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

/** The app that pm2 started is not this process but a launcher between the two, such as `npm start`. */
export function isHiddenFromPm2({ env }: Snapshot): boolean {
  return env.pm_id !== undefined && (isLauncher(env) || isStartedByNpm(env));
}

function isLauncher({ pm_exec_path: script = '', exec_interpreter: interpreter = 'node' }: Snapshot['env']): boolean {
  return LAUNCHER.test(script) || !RUNTIME.test(interpreter);
}

/** Unless it was the other way round, and npm ran a script that called pm2: then every child has npm's variables too. */
function isStartedByNpm({ npm_lifecycle_event: event, npm_lifecycle_script: script = '' }: Snapshot['env']): boolean {
  return event !== undefined && !/\bpm2\b/i.test(script);
}

/** For a process that pm2 has started, but not as the app itself: what its user should know. */
export function hiddenWarning({ env }: Snapshot): string {
  return (
    `pm2 started "${env.name}", but through another program (${env.pm_exec_path}), so this process can't be told ` +
    'from a child of the app and is standalone: with more than one instance, each would be primary. ' +
    'Let pm2 start the application\'s own script (for example "pm2 start bootstrap.js"), or set processAgent.group or ' +
    'MIDWAY_PROCESS_AGENT_GROUP to one name for all instances.'
  );
}

/** An app of a daemon whose pid file another daemon has overwritten, e.g. with one PM2_HOME in two containers. */
export function daemonWarning(snapshot: Snapshot): string | undefined {
  const { env, pm2DaemonPid, ppid } = snapshot;
  if (!runsInContainer(snapshot)) {
    return undefined;
  }
  return (
    `This process looks like an instance of the pm2 app "${env.name}", but ${env.PM2_HOME}/pm2.pid names ` +
    `${pm2DaemonPid} and not its parent ${ppid}, so it is standalone: with more than one instance, each would be ` +
    'primary. Give each pm2 daemon a PM2_HOME of its own, or set processAgent.group or MIDWAY_PROCESS_AGENT_GROUP to ' +
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
