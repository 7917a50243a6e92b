/**
 * For an application whose process turns out not to be alone: when it forks its first cluster worker, or when a worker
 * thread of it boots an application, it joins the group that those will join. It starts before they do, and it is
 * preferred, so it becomes, or stays, primary.
 */
import type { Cluster } from 'node:cluster';
import { EventEmitter } from 'node:events';
import { ProcessAgentError } from '../errors';
import type { AgentEvents, CallOptions, Explanation, Member, Role } from '../interface';
import type { Decision } from '../role/decision';
import type { Engine, EngineLogger } from './engine';
import { meetThreads } from './threads';

// The module is the cluster object itself, which its types deny.
const cluster = require('node:cluster') as Cluster;
const EVENTS = ['primary', 'worker', 'primary-changed', 'member-joined', 'member-left'] as const;

export class UpgradingEngine implements Engine {
  readonly events = new EventEmitter<AgentEvents>();
  readonly #decideAgain: (hasThreads: boolean) => Decision;
  readonly #join: (decision: Decision) => Engine;
  readonly #logger: EngineLogger;
  #decision: Decision;
  #current: Engine;
  #upgrade: Promise<void> | undefined;
  #failure: ProcessAgentError | undefined;
  #ready = false;
  #closed = false;
  #endMeeting: (() => void) | undefined;

  constructor(
    decision: Decision,
    decideAgain: (hasThreads: boolean) => Decision,
    join: (decision: Decision) => Engine,
    logger: EngineLogger,
  ) {
    this.#decision = decision;
    this.#decideAgain = decideAgain;
    this.#join = join;
    this.#logger = logger;
    this.#current = join(decision);
    this.#forward(this.#current);
  }

  get role(): Role | undefined {
    return this.#failure ? undefined : this.#current.role;
  }

  get epoch(): number {
    return this.#failure ? 0 : this.#current.epoch;
  }

  get group(): string {
    return this.#current.group;
  }

  async start(): Promise<void> {
    await this.#current.start();
    cluster.on('fork', this.#onFork);
    this.#endMeeting = meetThreads(() => this.#onThread());
  }

  markReady(): void {
    this.#ready = true;
    this.#current.markReady();
  }

  async ready(timeout?: number): Promise<void> {
    await this.#upgrade;
    return this.#joined().ready(timeout);
  }

  call(name: string, args: unknown[], options?: CallOptions): Promise<unknown> {
    return this.#failure ? Promise.reject(this.#failure) : this.#current.call(name, args, options);
  }

  async members(): Promise<Member[]> {
    await this.#upgrade;
    return this.#joined().members();
  }

  explain(): Explanation {
    const explanation = this.#current.explain();
    return this.#failure
      ? { ...explanation, role: undefined, epoch: 0, reasons: [...explanation.reasons, this.#failure.message] }
      : explanation;
  }

  async handOver(): Promise<void> {
    this.#stopWatching();
    await this.#upgrade;
    await this.#current.handOver();
  }

  async drained(): Promise<void> {
    await this.#current.drained?.();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopWatching();
    await this.#upgrade;
    await this.#current.close();
    this.events.removeAllListeners();
  }

  readonly #onFork = (): void => {
    cluster.off('fork', this.#onFork);
    this.#upgrade ??= this.#swap(false);
  };

  #onThread(): Promise<void> {
    this.#upgrade ??= this.#swap(true);
    return this.#upgrade;
  }

  #stopWatching(): void {
    cluster.off('fork', this.#onFork);
    this.#endMeeting?.();
    this.#endMeeting = undefined;
  }

  async #swap(hasThreads: boolean): Promise<void> {
    try {
      const decision = this.#decideAgain(hasThreads);
      if (decision.groupKey === this.#decision.groupKey) {
        return;
      }
      this.#decision = decision;
      const next = this.#join(decision);
      try {
        await next.start();
      } catch (err) {
        await next.close();
        throw err;
      }
      const previous = this.#current;
      this.#current = next;
      await previous.close();
      if (this.#closed) {
        return;
      }
      this.#forward(next);
      if (this.#ready) {
        next.markReady();
      }
      this.#tell(next);
    } catch (err) {
      // Going on alone would be a second primary beside the one that the workers elect.
      this.#failure = new ProcessAgentError(
        'ERR_AGENT_NO_PRIMARY',
        `This process forked cluster workers, or has threads with an application, and could not join their group: ${(err as Error)?.message ?? err}`,
        { outcome: 'not-sent', cause: err },
      );
      this.#logger.error('[process-agent] %s', this.#failure.message);
      await this.#current.close();
    }
  }

  /** What happened before anybody listened to the new engine. A listener that throws is not a failure to join. */
  #tell(engine: Engine): void {
    try {
      if (engine.role) {
        (this.events as EventEmitter).emit(engine.role, { epoch: engine.epoch });
      }
    } catch (err) {
      this.#logger.error('[process-agent] a listener has failed', err);
    }
  }

  #joined(): Engine {
    if (this.#failure) {
      throw this.#failure;
    }
    return this.#current;
  }

  #forward(engine: Engine): void {
    for (const event of EVENTS) {
      engine.events.on(event, (...args: unknown[]) => {
        (this.events as EventEmitter).emit(event, ...args);
      });
    }
  }
}
