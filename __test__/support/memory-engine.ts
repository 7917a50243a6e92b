/**
 * A group inside one process, to see where calls are routed to without processes: the applications of one test are its
 * members, the first to start is primary. Values are encoded and decoded, as if they had travelled.
 */
import { AsyncResource } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import { decode, encode } from '../../ts/codec';
import type {
  Carrier,
  Engine,
  EngineCallOptions,
  EngineGatherOptions,
  EngineHost,
  Invocation,
  Standing,
} from '../../ts/engine/engine';
import { ProcessAgentError } from '../../ts/errors';
import type { AgentEvents, Explanation, Member, MemberOutcome, Role } from '../../ts/interface';
import type { Decision } from '../../ts/role/decision';
import { isAsyncIterable } from '../../ts/stream';

/** Calls come from outside: nothing of the caller's async context is there where they run. */
const outside = new AsyncResource('memory-engine');
const members: LocalEngine[] = [];
let lastId = 0;
let lastEpoch = 0;

export const calls: { name: string; args: unknown[]; options: EngineCallOptions | undefined }[] = [];
export const gathers: { name: string; args: unknown[]; timeout: number; carrier: Carrier | undefined }[] = [];

/** Lets a test hold the election back. */
export const election: { hold: Promise<void> | undefined; failure: Error | undefined } = {
  hold: undefined,
  failure: undefined,
};

export class LocalEngine implements Engine {
  readonly events = new EventEmitter<AgentEvents>();
  readonly group: string;
  role: Role | undefined;
  epoch = 0;
  leaderlessFor = 0;
  ready = async () => {};
  markedReady = false;
  readonly #host: EngineHost;
  readonly #decision: Decision;
  readonly #id = ++lastId;
  #tenure: AbortController | undefined;

  constructor(decision: Decision, _config: unknown, host: EngineHost) {
    this.group = decision.group;
    this.#decision = decision;
    this.#host = host;
  }

  get tenure(): AbortSignal | undefined {
    return this.#tenure?.signal;
  }

  get self(): Member {
    return {
      id: this.#id,
      pid: process.pid,
      threadId: 0,
      role: this.role ?? 'worker',
      deployment: this.#decision.deployment,
      state: 'ready',
      joinedAt: 0,
      startedAt: 0,
      version: '0.0.0',
      candidate: true,
      lagMs: 0,
    };
  }

  async start(): Promise<void> {
    await election.hold;
    if (election.failure) {
      throw election.failure;
    }
    members.push(this);
    if (members[0] === this) {
      await this.#lead(undefined);
    } else {
      this.#follow();
    }
  }

  markReady(): void {
    this.markedReady = true;
  }

  async call(name: string, args: unknown[], options?: EngineCallOptions): Promise<unknown> {
    calls.push({ name, args, options });
    const primary = members.find(each => each.role === 'primary');
    if (!primary || this.role === undefined) {
      throw new ProcessAgentError('ERR_AGENT_CLOSED', 'Left.', { outcome: 'not-sent' });
    }
    const encoded = encode(args, 'args');
    const result = await primary.#run(name, decode(encoded) as unknown[], this, options?.carrier, options?.signal);
    return isAsyncIterable(result) ? streamed(result) : copy(result);
  }

  gather(
    name: string,
    args: unknown[],
    { timeout, carrier, own, onAnswer }: EngineGatherOptions,
  ): Promise<MemberOutcome[]> {
    gathers.push({ name, args, timeout, carrier });
    const encoded = encode(args, 'args');
    const answers = members.map(async (member): Promise<MemberOutcome> => {
      try {
        const run = () => member.#run(name, decode(encoded) as unknown[], this, carrier, undefined);
        if (member === this) {
          return { member: member.self, status: 'fulfilled', value: await own() };
        }
        const outcome = { member: member.self, status: 'fulfilled' as const, value: copy(await run()) };
        onAnswer?.(outcome);
        return outcome;
      } catch (reason) {
        return { member: member.self, status: 'rejected', reason };
      }
    });
    return Promise.all(answers);
  }

  async publish(topic: string, data: unknown): Promise<void> {
    const encoded = encode(data, 'data');
    await null;
    for (const member of members) {
      member.#host.deliver(topic, () => decode(encoded), this.self);
    }
  }

  async members(): Promise<Member[]> {
    return members.map(each => each.self);
  }

  async standings(): Promise<Standing[]> {
    return members.map(each => ({ member: each.self, state: 'ok', since: 0 }));
  }

  explain(): Explanation {
    const { deployment, group, reasons } = this.#decision;
    return { deployment, group, folder: '/memory', role: this.role, epoch: this.epoch, reasons };
  }

  async handOver(): Promise<void> {
    const wasPrimary = this.role === 'primary';
    const state = wasPrimary ? await this.#host.giveUp(1000) : undefined;
    this.#follow();
    if (wasPrimary) {
      await LocalEngine.#elect(this, copy(state));
    }
  }

  async close(): Promise<void> {
    if (members.includes(this)) {
      await this.handOver();
      members.splice(members.indexOf(this), 1);
    }
    this.role = undefined;
  }

  /** The primary is relieved, or dies: it is not asked for what it has kept. */
  static async relieve(): Promise<void> {
    const primary = members.find(each => each.role === 'primary') as LocalEngine;
    primary.#follow();
    await LocalEngine.#elect(primary, undefined);
  }

  static async #elect(previous: LocalEngine, state: unknown): Promise<void> {
    const next = members.find(each => each !== previous);
    if (next) {
      await next.#lead(state);
    }
  }

  static get count(): number {
    return members.length;
  }

  #run(name: string, args: unknown[], caller: LocalEngine, carrier?: Carrier, signal?: AbortSignal): unknown {
    const invocation: Invocation | undefined =
      this.#host.wantsInvocations || carrier
        ? {
            member: caller.self,
            epoch: this.epoch,
            signal: signal ?? new AbortController().signal,
            carrier: carrier && { ...carrier },
          }
        : undefined;
    return outside.runInAsyncScope(() => this.#host.invoke(name, args, invocation));
  }

  async #lead(state: unknown): Promise<void> {
    const epoch = ++lastEpoch;
    await this.#host.takeOver(state, epoch);
    this.#tenure = new AbortController();
    this.#take('primary', epoch);
  }

  #follow(): void {
    this.#tenure?.abort();
    this.#tenure = undefined;
    this.#take('worker', lastEpoch);
  }

  #take(role: Role, epoch: number): void {
    this.role = role;
    this.epoch = epoch;
    this.events.emit(role, { epoch });
  }
}

function copy(value: unknown): unknown {
  return value === undefined ? undefined : decode(encode(value, 'result'));
}

async function* streamed(iterable: AsyncIterable<unknown>): AsyncGenerator<unknown, void, unknown> {
  const iterator = outside.runInAsyncScope(() => iterable[Symbol.asyncIterator]());
  try {
    for (;;) {
      const { done, value } = await outside.runInAsyncScope(() => iterator.next());
      if (done) {
        return;
      }
      yield copy(value);
    }
  } finally {
    await iterator.return?.();
  }
}
