import type { EventEmitter } from 'node:events';
import { ApplicationContext, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import type { AgentEvents, CallOptions, Explanation, Member, Role } from '../interface';
import { Membership } from '../membership';
import type { ApplicationContext as Container } from '../midway';

/** This process as a member of its group. Inject it. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class ProcessAgentService {
  /** @internal */
  @ApplicationContext()
  container!: Container;

  /** `undefined` before the election and after the application has left. */
  get role(): Role | undefined {
    return membershipOf(this).role;
  }

  /** The current tenure's epoch: it grows with each new primary of the group. 0 while there is none. */
  get epoch(): number {
    return membershipOf(this).epoch;
  }

  /** The group's name. */
  get group(): string {
    return membershipOf(this).engine.group;
  }

  isPrimary(): boolean {
    return membershipOf(this).role === 'primary';
  }

  /** Resolves when the group has a primary that answers. Rejects with `ERR_AGENT_NO_PRIMARY` after `timeout` ms. */
  async ready(timeout?: number): Promise<void> {
    await membershipOf(this).started;
    return membershipOf(this).engine.ready(timeout);
  }

  /** The members of the group, this process included. */
  async members(): Promise<Member[]> {
    return membershipOf(this).engine.members();
  }

  /** What was decided about this process, and why, in words. */
  explain(): Explanation {
    return membershipOf(this).engine.explain();
  }

  /**
   * Registers what `call(name)` of any member runs when this process is primary. Do it in every process, at start:
   * any of them may become primary.
   */
  handle<A extends unknown[]>(name: string, fn: (...args: A) => unknown): void {
    membershipOf(this).handle(name, fn);
  }

  /** Runs the handler of that name in the primary. */
  async call<T = unknown>(name: string, args: unknown[] = [], options?: CallOptions): Promise<T> {
    return (await membershipOf(this).callHandler(name, args, options)) as T;
  }

  on<E extends keyof AgentEvents>(event: E, listener: (...args: AgentEvents[E]) => void): this {
    eventsOf(this).on(event, listener);
    return this;
  }

  once<E extends keyof AgentEvents>(event: E, listener: (...args: AgentEvents[E]) => void): this {
    eventsOf(this).once(event, listener);
    return this;
  }

  off<E extends keyof AgentEvents>(event: E, listener: (...args: AgentEvents[E]) => void): this {
    eventsOf(this).off(event, listener);
    return this;
  }
}

// No private member: Midway's proxies for circular dependencies call methods on something that has none.
function membershipOf(service: ProcessAgentService): Membership {
  return Membership.of(service.container);
}

function eventsOf(service: ProcessAgentService): EventEmitter {
  return membershipOf(service).events as EventEmitter;
}
