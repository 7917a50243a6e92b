/**
 * What is true once per process (and thread), however often the package is loaded: which applications live here.
 * It hangs on a registered symbol, so that a second copy of the package finds it instead of starting a second truth.
 */
import type { Cluster } from 'node:cluster';
import { isMainThread } from 'node:worker_threads';
import type { Membership } from './membership';

export const VERSION: string = (require('../package.json') as { version: string }).version;

/** Changes with anything that copies of this package share: this state, and what hangs on prototypes and objects. */
const PROTOCOL = 1;
const KEY = Symbol.for('@midwayjs/process-agent');

interface SharedState {
  readonly protocol: number;
  readonly version: string;
  /** Folders that the package was loaded from. */
  readonly copies: string[];
  /** Applications of this process that are starting or live, in the order in which they started. */
  readonly memberships: Membership[];
  /** By container, from the first time that somebody asked. */
  readonly byContainer: WeakMap<object, Membership>;
  /** Whether an application of this process has lived and been closed. */
  hasClosed: boolean;
  /** Called when an application joins or leaves. */
  readonly listeners: Set<() => void>;
}

export const state: SharedState = shareState();

function shareState(): SharedState {
  const shared = globalThis as { [KEY]?: SharedState };
  const own: SharedState = {
    protocol: PROTOCOL,
    version: VERSION,
    copies: [__dirname],
    memberships: [],
    byContainer: new WeakMap(),
    hasClosed: false,
    listeners: new Set(),
  };
  const first = shared[KEY];
  if (!first) {
    Object.defineProperty(shared, KEY, { value: own, configurable: true });
    return own;
  }
  if (!first.copies.includes(__dirname)) {
    first.copies.push(__dirname);
    const compatible = first.protocol === PROTOCOL;
    process.emitWarning(
      `@midwayjs/process-agent is loaded twice in this process: ${first.version} from ${first.copies[0]}, and ` +
        `${VERSION} from ${__dirname}. ` +
        (compatible
          ? 'They share one membership, but one copy should be removed (npm ls @midwayjs/process-agent).'
          : 'These versions share nothing: methods decorated with one never reach the primary of the other.'),
      'ProcessAgentWarning',
    );
  }
  return first.protocol === PROTOCOL ? first : own;
}

/**
 * Tells the cluster workers of this process that their primary loads this package, so that they let it go first in
 * the election. It is set at load because a worker takes the environment of the moment of its fork. Other children
 * inherit it and are not misled: a reader compares it with its own parent's pid.
 */
export function announceToWorkers(): void {
  const cluster = require('node:cluster') as Cluster;
  if (isMainThread && !cluster.isWorker) {
    process.env.MIDWAY_PROCESS_AGENT_PRIMARY = String(process.pid);
  }
}
