import type { EventEmitter } from 'node:events';
import { ApplicationContext, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import type { AgentEvents, CallOptions, Explanation, Member, Role } from '../interface';
import type { Membership } from '../membership';
import type { ApplicationContext as Container } from '../midway';
import { membershipOf } from '../state';

/** This process as a member of its group. Inject it. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class ProcessAgentService {
  /** @internal */
  @ApplicationContext()
  container!: Container;

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
   * Registers what `call(name)` of any member runs when this process is primary. Do it in every process, at start:
   * any of them may become primary.
   */
  handle<A extends unknown[]>(name: string, fn: (...args: A) => unknown): void {
    partOf(this).handle(name, fn);
  }

  /** Runs the handler of that name in the primary. */
  async call<T = unknown>(name: string, args: unknown[] = [], options?: CallOptions): Promise<T> {
    return (await partOf(this).callHandler(name, args, options)) as T;
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
function partOf(service: ProcessAgentService): Membership {
  return membershipOf(service.container);
}

function eventsOf(service: ProcessAgentService): EventEmitter {
  return partOf(service).events as EventEmitter;
}
