/**
 * What is true once per process (and thread), however often the package is loaded: which applications live here.
 * It hangs on a registered symbol, so that a second copy of the package finds it instead of starting a second truth.
 */
import type { DecoratedMethod } from './decorator/registry';
import { ProcessAgentError } from './errors';
import type { Membership } from './membership';
import type { ApplicationContext } from './midway';

export const VERSION: string = (require('../package.json') as { version: string }).version;

/** Changes with anything that copies of this package share: this state, and what hangs on prototypes and objects. */
const PROTOCOL = 3;
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
  /** How many of the applications look at their local calls, for `strictCopy` or for `transfer()`. */
  watching: number;
  /** How often Midway has loaded the component for an application, and how many of these had been when one joined last. */
  loads: number;
  joined: number;
  /** Methods whose async function was replaced (decorator/direct.ts), or has to be put back. */
  readonly direct: Set<DecoratedMethod>;
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
    watching: 0,
    loads: 0,
    joined: 0,
    direct: new Set(),
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

/** The membership of the application that owns `container`: made at the first question, not started by it. */
export function membershipOf(container: ApplicationContext): Membership {
  // Whatever the types say: an object that was made with `new` has none.
  if (!container) {
    throw new ProcessAgentError(
      'ERR_AGENT_NOT_STARTED',
      'A service of this package that was made with new belongs to no application. Get it from the container of one: ' +
        'with @Inject(), or with getAsync().',
      { outcome: 'not-sent' },
    );
  }
  let membership = state.byContainer.get(container);
  if (!membership) {
    // Only now: whoever just loads the package, for its decorators or in a test, needs none of what joins a group.
    const { Membership } = require('./membership') as typeof import('./membership');
    membership = new Membership(container);
    state.byContainer.set(container, membership);
  }
  return membership;
}
