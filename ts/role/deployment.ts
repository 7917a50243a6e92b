/**
 * Decides how this process was started and which group it belongs to, from a snapshot alone: it has to be known before
 * the native binary is loaded, because `standalone` loads nothing. The first rule that knows the process decides.
 */
import type { Deployment } from '../interface';
import type { Decision, Snapshot } from './decision';
import { type GivenGroupName, givenGroupName, groupNameInEnvironment } from './group-name';
import { parentCarriesPackage } from './parent';
import { hiddenWarning, instancesWarning, isPm2App, pm2Decision } from './pm2';
import { type TestRunner, testRunnerOf } from './test-runner';

const EGG_APP_WORKER = /[\\/](egg-cluster|@eggjs[\\/]cluster)[\\/].*\bapp_worker\.[cm]?[jt]s$/;
const EGG_AGENT_WORKER = /[\\/](egg-cluster|@eggjs[\\/]cluster)[\\/].*\bagent_worker\.[cm]?[jt]s$/;

/** Returns nothing for a process that the rule does not know. */
type Rule = (snapshot: Snapshot) => Decision | undefined;

const RULES: Rule[] = [
  inTestRunner,
  switchedOff,
  configured,
  egg,
  // Before pm2: a pm2 app that forks workers has to be in one group with them.
  clusterPrimary,
  pm2App,
  clusterWorker,
  thread,
  belowPm2,
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

/**
 * Test files run side by side, in processes or in threads, and each starts applications of its own, with the
 * configuration of all. A name in the environment was given for this run of the tests, and counts.
 */
function inTestRunner(snapshot: Snapshot): Decision | undefined {
  const runner = testRunnerOf(snapshot);
  // One that has forked workers, or has threads with an application, belongs together with these.
  if (runner === undefined || snapshot.cluster.workers > 0 || snapshot.thread.hasMembers) {
    return undefined;
  }
  const given = groupNameInEnvironment(snapshot);
  return given ? named(given, [testReason(snapshot, runner)]) : standalone(testReason(snapshot, runner));
}

function testReason({ thread, configuredGroup }: Snapshot, { name, sign }: TestRunner): string {
  const ignored = configuredGroup ? `, and processAgent.group ("${configuredGroup}") does not count` : '';
  return (
    `The test runner ${name} runs this ${thread.isMain ? 'process' : 'thread'} (${sign}): applications of different ` +
    `test files share a group only if MIDWAY_PROCESS_AGENT_GROUP names it${ignored}.`
  );
}

function switchedOff(snapshot: Snapshot): Decision | undefined {
  return givenGroupName(snapshot) === false
    ? standalone('processAgent.group is false, which switches grouping off.')
    : undefined;
}

function configured(snapshot: Snapshot): Decision | undefined {
  const given = givenGroupName(snapshot);
  return given ? named(given) : undefined;
}

function named({ name, source }: GivenGroupName, reasons: string[] = []): Decision {
  return {
    ...member('configured', name, `configured:${name}`),
    reasons: [...reasons, `${source} names the group "${name}", which overrides what would be detected.`],
  };
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
  const waitForPreferred = parentCarriesPackage(snapshot);
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
  const warning = hiddenWarning(snapshot);
  return { ...member('thread', `thread:${pid}`, `thread:${pid}:${startMark}`), preferred: isMain, reasons, warning };
}

/** It has pm2's variables and is not what pm2 has started: it may be that app, behind a launcher, or a child of it. */
function belowPm2(snapshot: Snapshot): Decision | undefined {
  const { env, pm2DaemonPid, ppid } = snapshot;
  if (env.pm_id === undefined) {
    return undefined;
  }
  const reason =
    `This process has the variables of the pm2 app "${env.name}", but its parent ${ppid} is not pm2's daemon ` +
    `(${pm2DaemonPid ?? 'unknown'}). The parent has ${parentCarriesPackage(snapshot) ? '' : 'not '}loaded this package: ` +
    (parentCarriesPackage(snapshot)
      ? 'it is the app, or belongs to it, and this process is its child.'
      : 'it may be a launcher between pm2 and the app.');
  return { ...standalone(reason), warning: hiddenWarning(snapshot) };
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
