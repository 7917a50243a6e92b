/**
 * Decides how this process was started and which group it belongs to, from a snapshot alone: it has to be known before
 * the native binary is loaded, because `standalone` loads nothing. The first rule that knows the process decides.
 */
import type { Deployment } from '../interface';
import type { Decision, Snapshot } from './decision';
import { givenGroupName } from './group-name';
import { daemonWarning, hiddenWarning, instancesWarning, isHiddenFromPm2, isPm2App, pm2Decision } from './pm2';

const EGG_APP_WORKER = /[\\/](egg-cluster|@eggjs[\\/]cluster)[\\/].*\bapp_worker\.[cm]?[jt]s$/;
const EGG_AGENT_WORKER = /[\\/](egg-cluster|@eggjs[\\/]cluster)[\\/].*\bagent_worker\.[cm]?[jt]s$/;

/** Returns nothing for a process that the rule does not know. */
type Rule = (snapshot: Snapshot) => Decision | undefined;

const RULES: Rule[] = [
  configured,
  testThread,
  egg,
  // Before pm2: a pm2 app that forks workers has to be in one group with them.
  clusterPrimary,
  pm2App,
  clusterWorker,
  thread,
  hiddenFromPm2,
  childOfPm2App,
];

/** Throws `ERR_AGENT_CONFIG` for a group name that is not allowed. */
export function decide(snapshot: Snapshot): Decision {
  for (const rule of RULES) {
    const decision = rule(snapshot);
    if (decision) {
      return snapshot.thread.isMain ? decision : inThread(decision, snapshot);
    }
  }
  return standalone(
    'Nothing shows that other processes belong to this one: no cluster, no pm2, no egg, no group name.',
  );
}

function configured(snapshot: Snapshot): Decision | undefined {
  const given = givenGroupName(snapshot);
  return (
    given && {
      ...member('configured', given.name, `configured:${given.name}`),
      reasons: [`${given.source} names the group "${given.name}", which overrides what would be detected.`],
    }
  );
}

/** Test runners may run test files in threads of one process; those are as separate as in processes of their own. */
function testThread({ argv, env, thread }: Snapshot): Decision | undefined {
  const variable = ['JEST_WORKER_ID', 'VITEST_POOL_ID', 'VITEST_WORKER_ID'].find(key => env[key] !== undefined);
  // An application that a test starts inherits the variable; its own threads run its own scripts.
  const isPool = /[\\/]node_modules[\\/]/.test(argv[1] ?? '');
  if (thread.isMain || variable === undefined || !isPool) {
    return undefined;
  }
  return standalone(
    `This is a thread of a test runner's pool (${variable} is set), which shares nothing with the others.`,
  );
}

function egg(snapshot: Snapshot): Decision | undefined {
  const script = snapshot.argv[1] ?? '';
  const isAgent = EGG_AGENT_WORKER.test(script);
  if (!isAgent && !EGG_APP_WORKER.test(script)) {
    return undefined;
  }
  const master = snapshot.thread.isMain ? parent(snapshot) : self(snapshot);
  const worker: Decision = {
    ...member('egg', `egg:${master.pid}`, `egg:${master.pid}:${master.startMark}`),
    reasons: [`egg's master ${master.pid} started this ${isAgent ? 'agent' : 'app'} worker (${script}).`],
    warning: instancesWarning(snapshot),
  };
  if (!isAgent) {
    return worker;
  }
  const reason =
    "egg's agent worker never runs the application's life cycle, so it can call the primary and not be it.";
  return { ...worker, candidate: false, reasons: [...worker.reasons, reason] };
}

function clusterPrimary(snapshot: Snapshot): Decision | undefined {
  const { isWorker, workers, isSetUp } = snapshot.cluster;
  if (isWorker || (workers === 0 && !isSetUp)) {
    return undefined;
  }
  return {
    ...member('cluster', ...clusterGroup(self(snapshot))),
    preferred: true,
    reasons: [
      `This process is a cluster primary (workers now: ${workers}).`,
      'Its workers are in one group with it, and it goes first in the election.',
    ],
    warning: instancesWarning(snapshot),
  };
}

function pm2App(snapshot: Snapshot): Decision | undefined {
  return isPm2App(snapshot) ? pm2Decision(snapshot) : undefined;
}

function clusterWorker(snapshot: Snapshot): Decision | undefined {
  if (!snapshot.cluster.isWorker) {
    return undefined;
  }
  const { env, ppid } = snapshot;
  const group = clusterGroup(parent(snapshot));
  const warning = instancesWarning(snapshot);
  if (env.MIDWAY_FORK_MODE === 'cluster') {
    const reasons = [
      `Midway's ClusterManager in process ${ppid} forked this worker; that process boots no application.`,
    ];
    return { ...member('midway-cluster', ...group), reasons, warning };
  }
  const waitForPreferred = env.MIDWAY_PROCESS_AGENT_PRIMARY === String(ppid);
  const reasons = [
    `The cluster primary ${ppid} forked this worker.`,
    waitForPreferred
      ? 'The cluster primary has loaded this package too, so it goes first in the election.'
      : 'The cluster primary has not loaded this package, so nobody waits for it.',
  ];
  return { ...member('cluster', ...group), waitForPreferred, reasons, warning };
}

function thread(snapshot: Snapshot): Decision | undefined {
  const { isMain, hasMembers } = snapshot.thread;
  if (isMain && !hasMembers) {
    return undefined;
  }
  const { pid, startMark } = self(snapshot);
  const reasons = [
    isMain
      ? `A worker thread of this process, ${pid}, has booted an application; all threads of a process are one group.`
      : `The threads of process ${pid} are one group, with its main thread if that boots an application too.`,
  ];
  if (snapshot.platform !== 'linux') {
    reasons.push(`A worker thread can't see on ${snapshot.platform} whether its process is a cluster worker.`);
  }
  return { ...member('thread', `thread:${pid}`, `thread:${pid}:${startMark}`), preferred: isMain, reasons };
}

function hiddenFromPm2(snapshot: Snapshot): Decision | undefined {
  if (!isHiddenFromPm2(snapshot)) {
    return undefined;
  }
  const reason = `pm2 is hidden: it started ${snapshot.env.pm_exec_path}, and that started this process.`;
  return { ...standalone(reason), warning: hiddenWarning(snapshot) };
}

function childOfPm2App(snapshot: Snapshot): Decision | undefined {
  const { env, pm2DaemonPid, ppid } = snapshot;
  if (env.pm_id === undefined) {
    return undefined;
  }
  const reason =
    `This process has the variables of the pm2 app "${env.name}", but its parent ${ppid} is not pm2's daemon ` +
    `(${pm2DaemonPid ?? 'unknown'}): it is taken for a child of the app, which inherits them.`;
  return { ...standalone(reason), warning: daemonWarning(snapshot) };
}

/**
 * A thread of a process that belongs to a group is a member of that group, so that the application has one primary.
 * Its main thread may be a member as well and then goes before it.
 */
function inThread(decision: Decision, { pid, thread: { id } }: Snapshot): Decision {
  if (decision.groupKey === '') {
    return decision;
  }
  return {
    ...decision,
    preferred: false,
    waitForPreferred: decision.waitForPreferred || decision.preferred,
    reasons: [`This is worker thread ${id} of process ${pid}.`, ...decision.reasons],
  };
}

interface StartedProcess {
  pid: number;
  startMark: string;
}

function self({ pid, startMark }: Snapshot): StartedProcess {
  return { pid, startMark };
}

function parent({ ppid, parentStartMark }: Snapshot): StartedProcess {
  return { pid: ppid, startMark: parentStartMark };
}

/** Name and key of the group of a cluster primary and its workers, from whichever side it is seen. */
function clusterGroup(primary: StartedProcess): [group: string, groupKey: string] {
  return [`cluster:${primary.pid}`, `cluster:${primary.pid}:${primary.startMark}`];
}

/** A member that is like the others of its group: nobody is preferred. */
function member(deployment: Deployment, group: string, groupKey: string): Decision {
  return {
    deployment,
    group,
    groupKey,
    candidate: true,
    preferred: false,
    waitForPreferred: false,
    reasons: [],
    warning: undefined,
  };
}

function standalone(reason: string): Decision {
  return { ...member('standalone', 'standalone', ''), reasons: [reason, 'Calls run in this process.'] };
}
