import type { EventEmitter } from 'node:events';
import { ApplicationContext, Init, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { callHandler, gather, membersOf, publish } from '../calls';
import { currentCall } from '../current-call';
import type {
  AgentEvents,
  CallOptions,
  CurrentCall,
  Explanation,
  GatherOptions,
  InAll,
  Member,
  MemberOutcome,
  Role,
  ServiceClass,
  TransferHooks,
} from '../interface';
import type { Membership } from '../membership';
import type { ApplicationContext as Container } from '../midway';
import { checkEvent, checkTimeout } from '../options';
import { membershipOf } from '../state';

/** This process as a member of its group. Inject it. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class ProcessAgentService {
  /** @internal */
  @ApplicationContext()
  container!: Container;

  /** @internal From now on somebody may ask for the current call. */
  @Init()
  expectQuestions(): void {
    partOf(this).wantsInvocations = true;
  }

  /** `undefined` before the election and after the application has left. */
  get role(): Role | undefined {
    return partOf(this).role;
  }

  /** The current tenure's epoch: it grows with each new primary of the group. 0 while there is none. */
  get epoch(): number {
    return partOf(this).epoch;
  }

  /** The group's name. */
  get group(): string {
    return partOf(this).engine.group;
  }

  isPrimary(): boolean {
    return partOf(this).role === 'primary';
  }

  /** Resolves when the group has a primary that answers. Rejects with `ERR_AGENT_NO_PRIMARY` after `timeout` ms. */
  async ready(timeout?: number): Promise<void> {
    checkTimeout('ready()', timeout);
    await partOf(this).started;
    return partOf(this).engine.ready(timeout);
  }

  /** The members of the group, this process included. */
  async members(): Promise<Member[]> {
    return partOf(this).engine.members();
  }

  /** What was decided about this process, and why, in words. */
  explain(): Explanation {
    return partOf(this).engine.explain();
  }

  /**
   * Registers what `call(name)` and `gather(name)` of any member run in this process. Do it in every process, at start:
   * any of them may become primary.
   */
  handle<A extends unknown[]>(name: string, fn: (...args: A) => unknown): void {
    partOf(this).targets.handlers.add(name, fn);
  }

  /** Runs the handler of that name in the primary. */
  call<T = unknown>(name: string, args: unknown[] = [], options?: CallOptions): Promise<T> {
    return callHandler(partOf(this), name, args, options) as Promise<T>;
  }

  /**
   * Runs the handler of that name in every member, this process included, each with a copy of the arguments. One
   * outcome for each; who has not answered within `timeout` (default 5,000 ms) is rejected.
   */
  gather<T = unknown>(name: string, args: unknown[] = [], options?: GatherOptions): Promise<MemberOutcome<T>[]> {
    return gather(partOf(this), name, args, options) as Promise<MemberOutcome<T>[]>;
  }

  /** The methods of a class that the container provides, each of which runs in every member, on its own object. */
  inAll<S extends object>(service: ServiceClass<S>, options?: GatherOptions): InAll<S> {
    return membersOf(partOf(this), service, options) as InAll<S>;
  }

  /** The call that is being run for another member, or that this process has made of itself by name. */
  currentCall(): CurrentCall | undefined {
    return currentCall();
  }

  /** While this process is primary: aborted when it stops to be. Stop with it what only the primary may do. */
  get tenure(): AbortSignal | undefined {
    return partOf(this).tenure;
  }

  /** Tells every subscriber of the topic, in every member. Resolves when it has been passed on. */
  publish(topic: string, data: unknown): Promise<void> {
    return publish(partOf(this), topic, data);
  }

  /** Each listener gets a copy of its own. Returns what ends the subscription. */
  subscribe<T = unknown>(topic: string, listener: (data: T, from: Member) => unknown): () => void {
    return partOf(this).topics.subscribe(topic, listener);
  }

  /**
   * Hands what a primary keeps in memory to the next one, under a name. Do it in every process, at start. Resolves when
   * `onPrimary` has run, if this process is primary already. Calls wait until `onPrimary` has finished, so a call of a
   * decorated method in it would wait for itself.
   */
  transfer<S = unknown>(name: string, hooks: TransferHooks<S>): Promise<void> {
    return partOf(this).transfer(name, hooks as TransferHooks);
  }

  on<E extends keyof AgentEvents>(event: E, listener: (...args: AgentEvents[E]) => void): this {
    eventsOf(this, 'on', event).on(event, listener);
    return this;
  }

  once<E extends keyof AgentEvents>(event: E, listener: (...args: AgentEvents[E]) => void): this {
    eventsOf(this, 'once', event).once(event, listener);
    return this;
  }

  off<E extends keyof AgentEvents>(event: E, listener: (...args: AgentEvents[E]) => void): this {
    eventsOf(this, 'off', event).off(event, listener);
    return this;
  }
}

// No private member: Midway's proxies for circular dependencies call methods on something that has none.
function partOf(service: ProcessAgentService): Membership {
  return membershipOf(service.container);
}

/** Of an event that there is none of, nobody would ever hear, or a listener would stay. */
function eventsOf(service: ProcessAgentService, what: string, event: keyof AgentEvents): EventEmitter {
  checkEvent(what, event);
  return partOf(service).events as EventEmitter;
}
