/** What `@RunInAll()` does: the method in every member, and one outcome of them all. */
import { snapshot } from './copy';
import { runUnder } from './current-call';
import { classOf, type DecoratedMethod, methodsOf, readableName } from './decorator/registry';
import { ProcessAgentError } from './errors';
import { messageOf } from './guard';
import type { MemberOutcome } from './interface';
import type { Membership } from './membership';
import { GATHER_TIMEOUT } from './options';
import { withSignal } from './own-call';
import { isAlone, liveMembership, membershipFor } from './route';
import { carrierOfNow } from './tracing';

/** By object: the names of the methods that run on it for a call in all members, and how many times each. */
const running = new WeakMap<object, Map<string, number>>();

/** Runs a method in every member of the group of `self`. */
export async function callAll(method: DecoratedMethod, self: unknown, args: unknown[]): Promise<void> {
  const membership = membershipFor(self);
  if (isSuperCall(method, self) || isAlone(self)) {
    await runForAll(method, self, args);
  } else if (membership?.phase === 'live') {
    await askAll(membership, method, self, args, args);
  } else {
    const copy = snapshot(readableName(method), args, 'args');
    await askAll(await liveMembership(self, method), method, self, args, copy());
  }
}

/** The part of one member: the method as it was written, on its own object. */
export async function runForAll(method: DecoratedMethod, self: unknown, args: unknown[]): Promise<void> {
  const counts = countsOf(self);
  counts.set(method.key, (counts.get(method.key) ?? 0) + 1);
  try {
    await method.original.apply(self, args as never[]);
  } finally {
    counts.set(method.key, (counts.get(method.key) ?? 1) - 1);
  }
}

/** Encodes `sent` before it returns; the object of the caller runs with the `args` themselves. */
async function askAll(
  membership: Membership,
  method: DecoratedMethod,
  self: unknown,
  args: unknown[],
  sent: unknown[],
) {
  const readable = readableName(method);
  const name = membership.targets.names.nameOf(classOf(self, method), method);
  const timeout = method.options.timeout ?? GATHER_TIMEOUT;
  if (membership.strict && membership.isAlone) {
    // In a group the arguments are sent: what can't be is refused at once.
    membership.strict.check(readable, 'args', args, 'not-sent');
  }
  const run = () => runForAll(method, self, args);
  const own = () => {
    const call = membership.ownInvocation();
    return withSignal(call, timeout, membership.wantsInvocations ? () => runUnder(call, run) : run);
  };
  const outcomes = await membership.engine.gather(name, sent, { timeout, carrier: carrierOfNow(), own });
  const [first, ...others] = outcomes.filter(isRejected);
  if (first) {
    throw new ProcessAgentError(
      'ERR_AGENT_PARTIAL',
      `${readable}: failed in ${others.length + 1} of ${outcomes.length} members, first in pid ${first.member.pid}: ` +
        messageOf(first.reason),
      { outcomes, cause: first.reason },
    );
  }
}

/**
 * Whether this is the `super.method()` of an override that runs in every member already: asking all again, from each,
 * would run it as many times as there are members.
 */
function isSuperCall(method: DecoratedMethod, self: unknown): boolean {
  return (countsOf(self).get(method.key) ?? 0) > 0 && methodsOf(classOf(self, method)).get(method.key)?.[0] !== method;
}

function countsOf(self: unknown): Map<string, number> {
  if (typeof self !== 'object' || self === null) {
    return new Map();
  }
  const counts = running.get(self) ?? new Map<string, number>();
  running.set(self, counts);
  return counts;
}

type Rejected = MemberOutcome & { status: 'rejected' };

function isRejected(outcome: MemberOutcome): outcome is Rejected {
  return outcome.status === 'rejected';
}
