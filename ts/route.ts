/**
 * Where a decorated method runs: here, or in the primary. Every call of every decorated method asks, so the answer in
 * the primary costs a few nanoseconds: one property of the object, and the engine's role.
 */

import { Deadline } from './clock';
import { snapshot } from './copy';
import { classOf, type DecoratedMethod, readableName } from './decorator/registry';
import { decideNow, hasForked } from './environment';
import { ProcessAgentError } from './errors';
import type { Membership } from './membership';
import { groupOfStartingApplication } from './midway';
import { state } from './state';
import { withCarrier } from './tracing';

// A property and not a WeakMap, which takes 50 times as long to ask. Registered for other copies of this package.
const MEMBERSHIP: unique symbol = Symbol.for('@midwayjs/process-agent:membership:1') as never;

interface Attached {
  [MEMBERSHIP]?: Membership;
}

/** Notes that `instance` belongs to that application. */
export function attach(instance: object, membership: Membership): void {
  // A frozen object stays a stranger: it then belongs to the only application that lives.
  Reflect.defineProperty(instance, MEMBERSHIP, { value: membership, writable: true, configurable: true });
}

/** Whether a decorated method of `self` runs in this process, as it is. */
export function runsHere(self: unknown): boolean {
  const membership = (self as Attached | null | undefined)?.[MEMBERSHIP];
  return membership === undefined ? strangerRunsHere() : membershipRunsHere(membership);
}

/**
 * Whether this process is known not to be primary, or to have left its group. `undefined` as long as the election is
 * to come.
 */
export function isElsewhere(self: unknown): boolean | undefined {
  const membership = membershipFor(self);
  if (!membership) {
    return state.hasClosed ? true : undefined;
  }
  return membership.phase === 'starting' ? undefined : !membershipRunsHere(membership);
}

/**
 * Whether the process of `self` is alone, with nobody to ask and no group: without an application, or before or after
 * the life of a standalone one.
 */
export function isAlone(self: unknown): boolean {
  const membership = membershipFor(self);
  return membership
    ? membership.phase !== 'live' && isStandaloneApplication(membership)
    : state.memberships.every(isStandaloneApplication) && isStandalone(groupOfStartingApplication());
}

/** Runs a decorated method in the primary, which is not this process, or not known yet. */
export function callPrimary(method: DecoratedMethod, self: unknown, args: unknown[]): Promise<unknown> {
  const membership = membershipFor(self);
  // Not async itself: each layer of promises would cost a call some turns of the microtask queue.
  return membership?.phase === 'live' ? send(membership, method, self, args) : callWhenLive(method, self, args);
}

async function callWhenLive(method: DecoratedMethod, self: unknown, args: unknown[]): Promise<unknown> {
  // What is sent is what the caller has passed, not what has become of it by then.
  const copy = snapshot(name(method), args, 'args');
  const membership = await liveMembership(self, method);
  return membershipRunsHere(membership) ? runHere(method, self, args) : await send(membership, method, self, copy());
}

function send(membership: Membership, method: DecoratedMethod, self: unknown, args: unknown[]): Promise<unknown> {
  try {
    const name = membership.targets.names.nameOf(classOf(self, method), method);
    return membership.engine.call(name, args, withCarrier(method.options));
  } catch (err) {
    return Promise.reject(err);
  }
}

/** Runs a decorated method where `runsHere`, watched as the application of its object wants it. */
export function runHere(method: DecoratedMethod, self: unknown, args: unknown[]): unknown {
  const strict = (self as Attached | null | undefined)?.[MEMBERSHIP]?.strict;
  const run = () => method.original.apply(self, args as never[]);
  return runOwn(self, strict ? () => strict.run(readableName(method), args, run) : run);
}

/** Runs what the next primary may have to wait for. `holds`: see `OwnRuns`. */
export function runOwn(self: unknown, run: () => unknown, holds?: boolean): unknown {
  const ownRuns = (self as Attached | null | undefined)?.[MEMBERSHIP]?.ownRuns;
  return ownRuns ? ownRuns.run(run, holds) : run();
}

export type Named = Pick<DecoratedMethod, 'owner' | 'key'>;

function membershipRunsHere(membership: Membership): boolean {
  return (
    membership.runsCalls ||
    // Before the election and after the end, a process that is alone runs what it would run without this package.
    (membership.phase !== 'live' && isStandaloneApplication(membership))
  );
}

function isStandaloneApplication(membership: Membership): boolean {
  return membership.decision?.deployment === 'standalone' && isStandalone(membership.config?.group);
}

/** For an object that no application's container made: the only application, or the environment, decides. */
function strangerRunsHere(): boolean {
  const { memberships } = state;
  return memberships.length > 0 ? memberships.every(membershipRunsHere) : isStandalone(groupOfStartingApplication());
}

export function membershipFor(self: unknown): Membership | undefined {
  const attached = (self as Attached | null | undefined)?.[MEMBERSHIP];
  return attached ?? (state.memberships.length === 1 ? state.memberships[0] : undefined);
}

let cached: { group: string | false | undefined; forked: boolean; standalone: boolean } | undefined;

function isStandalone(group: string | false | undefined): boolean {
  const forked = hasForked();
  if (cached?.group !== group || cached?.forked !== forked) {
    cached = { group, forked, standalone: decideNow(group).deployment === 'standalone' };
  }
  return cached.standalone;
}

/** Waits for the application of `self` to have been through its election, bounded; rejects as a call would. */
export async function liveMembership(self: unknown, method: Named): Promise<Membership> {
  const timeout = membershipFor(self)?.config?.readyTimeout ?? defaultReadyTimeout();
  const deadline = new Deadline(timeout);
  for (;;) {
    const membership = membershipFor(self);
    if (membership?.phase === 'live') {
      return membership;
    }
    if (membership ? membership.phase === 'closed' : state.hasClosed && state.memberships.length === 0) {
      throw new ProcessAgentError(
        'ERR_AGENT_CLOSED',
        `${name(method)} was called after its application had been closed.`,
        { outcome: 'not-sent' },
      );
    }
    if (!membership && state.memberships.length > 1) {
      throw new ProcessAgentError(
        'ERR_AGENT_AMBIGUOUS',
        `${name(method)} was called on an object that no container made, and ${state.memberships.length} ` +
          'applications live in this process. Get the object from the container of one of them.',
        { outcome: 'not-sent' },
      );
    }
    const { left } = deadline;
    if (left <= 0 || !(await change(left))) {
      throw new ProcessAgentError(
        'ERR_AGENT_NOT_STARTED',
        membershipFor(self)
          ? `${name(method)}: the application has not joined its group within ${timeout} ms (processAgent.readyTimeout); it was not sent.`
          : `${name(method)}: no application with this component has started in this process within ${timeout} ms. ` +
              "Import it: @Configuration({ imports: [processAgent] }), with import * as processAgent from '@midwayjs/process-agent'.",
        { outcome: 'not-sent' },
      );
    }
  }
}

/** Whether an application joined or left within `ms`. The timer keeps the process alive, as any pending call does. */
function change(ms: number): Promise<boolean> {
  return new Promise(resolve => {
    const settle = (changed: boolean) => {
      clearTimeout(timer);
      state.listeners.delete(listener);
      resolve(changed);
    };
    const listener = () => settle(true);
    const timer = setTimeout(settle, ms, false);
    state.listeners.add(listener);
  });
}

function defaultReadyTimeout(): number {
  return (require('./config') as typeof import('./config')).DEFAULTS.readyTimeout;
}

function name(method: Named): string {
  return readableName(method as DecoratedMethod);
}
