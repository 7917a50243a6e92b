/** What ProcessAgentService asks of other members: calls of handlers, questions to all, and news. */

import { callableMethods } from './class-names';
import { now } from './clock';
import { decode } from './codec';
import { copyOf, encodeFor, snapshot } from './copy';
import { inside } from './current-call';
import type { AnyClass } from './decorator/registry';
import { aborted, streamRefused } from './engine/call-errors';
import { ProcessAgentError, withName } from './errors';
import type { CallOptions, GatherOptions, MemberOutcome } from './interface';
import type { Membership } from './membership';
import { checkArgs, checkCallOptions, checkName, gatherTimeout } from './options';
import { bounded, withSignal } from './own-call';
import { PREFIX } from './prefix';
import { ending, isAsyncGeneratorObject, isAsyncIterable, within } from './stream';
import { carrierOfNow, withCarrier } from './tracing';

/** Runs a handler in the primary. */
export function callHandler(
  membership: Membership,
  name: string,
  args: unknown[],
  options: CallOptions = {},
): Promise<unknown> {
  // Not async itself: arguments are encoded now, and each layer of promises costs.
  try {
    checkName('call', name);
    checkArgs('call', name, args);
    checkCallOptions(options);
    if (options.signal?.aborted) {
      throw aborted(PREFIX.handler + name, options.signal, 'not-sent');
    }
    return membership.phase === 'live'
      ? callNow(membership, name, args, options)
      : callWhenStarted(membership, name, args, options);
  } catch (err) {
    return Promise.reject(err);
  }
}

async function callWhenStarted(membership: Membership, name: string, args: unknown[], options: CallOptions) {
  const wireName = PREFIX.handler + name;
  const copy = snapshot(wireName, args, 'args');
  const begun = now();
  await bounded(wireName, options, 'not-sent', () => membership.started);
  const left = options.timeout && Math.max(1, options.timeout - (now() - begun));
  return callNow(membership, name, membership.role === 'primary' ? args : copy(), { ...options, timeout: left });
}

function callNow(membership: Membership, name: string, args: unknown[], options: CallOptions): Promise<unknown> {
  const wireName = PREFIX.handler + name;
  if (!membership.runsCalls) {
    return membership.engineFor(wireName).call(wireName, args, withCarrier(options));
  }
  const call = membership.ownInvocation();
  const enter = inside(call);
  const run = () => enter(() => membership.invoke(wireName, args, undefined));
  const { strict } = membership;
  const work = strict ? () => strict.run(`handler '${name}'`, args, run) : run;
  return bounded(wireName, options, 'unknown', work, reason => call.abort(reason)).then(
    result => {
      // Other streams are passed as the objects that they are; a generator has yet to run, as a part of the call.
      if (isAsyncGeneratorObject(result)) {
        return ending(within(result, enter), () => call.end());
      }
      call.end();
      return result;
    },
    error => {
      call.end();
      throw error;
    },
  );
}

/** Runs a handler in every member. */
export async function gather(
  membership: Membership,
  name: string,
  args: unknown[],
  options: GatherOptions | undefined,
): Promise<MemberOutcome[]> {
  checkName('gather', name);
  checkArgs('gather', name, args);
  const wireName = PREFIX.handler + name;
  return ask(membership, wireName, () => wireName, args, gatherTimeout('gather()', options));
}

/** `inAll()`: an object with the methods of a class, each of which runs in every member. */
export function membersOf(membership: Membership, cls: AnyClass, options: GatherOptions | undefined): object {
  if (typeof cls !== 'function' || !cls.prototype) {
    throw new ProcessAgentError('ERR_AGENT_CONFIG', 'inAll() takes a class.');
  }
  const timeout = gatherTimeout('inAll()', options);
  const methods = Object.create(null);
  for (const key of callableMethods(cls)) {
    methods[key] = (...args: unknown[]) =>
      ask(membership, `${cls.name}.${key}`, () => membership.targets.classes.nameOf(cls, key), args, timeout);
  }
  return methods;
}

/** `nameOf` is asked when the application has started, and knows its classes; `what` is what errors before say. */
async function ask(
  membership: Membership,
  what: string,
  nameOf: () => string,
  args: unknown[],
  timeout: number,
): Promise<MemberOutcome[]> {
  const encoded = encodeFor(what, args, 'args');
  if (membership.phase !== 'live') {
    await membership.started;
  }
  const engine = membership.engineFor(what);
  const name = nameOf();
  const own = () => answer(membership, name, decode(encoded) as unknown[], timeout);
  return engine.gather(name, decode(encoded) as unknown[], { timeout, carrier: carrierOfNow(), own });
}

/** This process's own answer to a question to all: with copies, as those of the others are. */
async function answer(membership: Membership, name: string, args: unknown[], timeout: number): Promise<unknown> {
  const call = membership.ownInvocation();
  const value = await withSignal(call, timeout, () => membership.invoke(name, args, call));
  if (isAsyncIterable(value)) {
    throw streamRefused(name);
  }
  try {
    return copyOf(value, 'result');
  } catch (err) {
    throw withName(name, err, 'executed');
  }
}

/** Resolves when what is published has been passed on to every member. */
export async function publish(membership: Membership, topic: string, data: unknown): Promise<void> {
  checkName('publish', topic);
  let value = data;
  if (membership.phase !== 'live') {
    value = decode(encodeFor(`publish('${topic}')`, data, 'data'));
    await membership.started;
  }
  await membership.engineFor(`publish('${topic}')`).publish(topic, value);
}
