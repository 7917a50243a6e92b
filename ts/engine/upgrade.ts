/**
 * For an application whose process turns out not to be alone: when it forks its first cluster worker, or when a worker
 * thread of it boots an application, it joins the group that those will join. It starts before they do, and it is
 * preferred, so it becomes, or stays, primary.
 */
import type { Cluster } from 'node:cluster';
import type { EventEmitter } from 'node:events';
import { AgentEmitter } from '../agent-events';
import { snapshot } from '../copy';
import { ProcessAgentError } from '../errors';
import { messageOf } from '../guard';
import type { AgentEvents, Explanation, Member, MemberOutcome, Role } from '../interface';
import type { Registry } from '../metrics/registry-types';
import { EVENTS } from '../options';
import type { Decision } from '../role/decision';
import type {
  Engine,
  EngineCallOptions,
  EngineGatherOptions,
  EngineHost,
  HealthBounds,
  Invocation,
  ScrapeOptions,
  Standing,
} from './engine';
import { meetThreads } from './threads';

type Join = (decision: Decision, host: EngineHost) => Engine;

// The module is the cluster object itself, which its types deny.
const cluster = require('node:cluster') as Cluster;

/** An event, and what it says. */
type Happened = [event: keyof AgentEvents, ...args: unknown[]];

export class UpgradingEngine implements Engine {
  readonly events: AgentEmitter;
  readonly #decideAgain: (hasThreads: boolean) => Decision;
  readonly #join: Join;
  readonly #host: EngineHost;
  #decision: Decision;
  #current: Engine;
  #upgrade: Promise<void> | undefined;
  #upgrading = false;
  #failure: ProcessAgentError | undefined;
  #ready = false;
  #closed = false;
  #endMeeting: (() => void) | undefined;

  constructor(decision: Decision, decideAgain: (hasThreads: boolean) => Decision, join: Join, host: EngineHost) {
    this.events = new AgentEmitter(host.logger);
    this.#decision = decision;
    this.#decideAgain = decideAgain;
    this.#join = join;
    this.#host = host;
    this.#current = join(decision, host);
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

  get tenure(): AbortSignal | undefined {
    return this.#failure ? undefined : this.#current.tenure;
  }

  get self(): Member | undefined {
    return this.#current.self;
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

  call(name: string, args: unknown[], options?: EngineCallOptions): Promise<unknown> {
    return this.#failure ? Promise.reject(this.#failure) : this.#current.call(name, args, options);
  }

  gather(name: string, args: unknown[], options: EngineGatherOptions): Promise<MemberOutcome[]> {
    return this.#whenJoined(name, args, 'args', (engine, sent) => engine.gather(name, sent, options));
  }

  publish(topic: string, data: unknown): Promise<void> {
    return this.#whenJoined(`publish('${topic}')`, data, 'data', (engine, sent) => engine.publish(topic, sent));
  }

  async members(): Promise<Member[]> {
    await this.#upgrade;
    return this.#joined().members();
  }

  async standings(timeout: number): Promise<Standing[]> {
    await this.#upgrade;
    return this.#joined().standings(timeout);
  }

  get leaderlessFor(): number {
    return this.#current.leaderlessFor;
  }

  async scrape(options: ScrapeOptions): Promise<string | undefined> {
    await this.#upgrade;
    return this.#joined().scrape?.(options);
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

  async close(isAwaited?: boolean): Promise<void> {
    this.#closed = true;
    this.#stopWatching();
    this.events.removeAllListeners();
    if (this.#upgrading) {
      await this.#upgrade;
    }
    await this.#current.close(isAwaited);
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

  /** All members can be asked and told when this process has joined them; `value` is sent as it is now. */
  async #whenJoined<V, R>(
    name: string,
    value: V,
    what: string,
    act: (engine: Engine, value: V) => Promise<R>,
  ): Promise<R> {
    if (!this.#upgrading) {
      return act(this.#joined(), value);
    }
    const copy = snapshot(name, value, what);
    await this.#upgrade;
    return act(this.#joined(), copy());
  }

  async #swap(hasThreads: boolean): Promise<void> {
    this.#upgrading = true;
    try {
      const decision = this.#decideAgain(hasThreads);
      if (decision.groupKey === this.#decision.groupKey) {
        return;
      }
      this.#decision = decision;
      const next = this.#join(decision, new UpgradeHost(this.#host, () => this.#current.role === 'primary'));
      let missed: Happened[] | undefined = [];
      this.#forward(next, happened => {
        missed ? missed.push(happened) : this.#emit(happened);
      });
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
      if (this.#ready) {
        next.markReady();
      }
      const untold = missed;
      missed = undefined;
      // What happened before this process had joined.
      for (const happened of untold) {
        this.#emit(happened);
      }
    } catch (err) {
      // Going on alone would be a second primary beside the one that the workers elect.
      this.#failure = new ProcessAgentError(
        'ERR_AGENT_NO_PRIMARY',
        `This process forked cluster workers, or has threads with an application, and could not join their group: ${messageOf(err)}`,
        { outcome: 'not-sent', cause: err },
      );
      this.#host.logger.error('[process-agent] %s', this.#failure.message);
      await this.#current.close();
    } finally {
      this.#upgrading = false;
    }
  }

  #joined(): Engine {
    if (this.#failure) {
      throw this.#failure;
    }
    return this.#current;
  }

  #forward(engine: Engine, tell = (happened: Happened) => this.#emit(happened)): void {
    for (const event of EVENTS) {
      engine.events.on(event, (...args: unknown[]) => tell([event, ...args]));
    }
  }

  #emit([event, ...args]: Happened): void {
    (this.events as EventEmitter).emit(event, ...args);
  }
}

/**
 * What the next engine sees of the application: if this process is primary again, it keeps what it has in memory. It
 * goes on to run its own calls meanwhile, and a copy made at any moment would lack what they change after it.
 */
class UpgradeHost implements EngineHost {
  constructor(
    private readonly host: EngineHost,
    private readonly isPrimary: () => boolean,
  ) {}

  get wantsInvocations(): boolean {
    return this.host.wantsInvocations;
  }

  get logger(): EngineHost['logger'] {
    return this.host.logger;
  }

  invoke(name: string, args: unknown[], invocation: Invocation | undefined): unknown {
    return this.host.invoke(name, args, invocation);
  }

  knows(name: string): boolean {
    return this.host.knows?.(name) ?? true;
  }

  deliver(topic: string, data: () => unknown, from: Member): void {
    this.host.deliver(topic, data, from);
  }

  takeOver(state: unknown, epoch: number): void | Promise<void> {
    return state === undefined && this.isPrimary() ? this.host.stayPrimary?.(epoch) : this.host.takeOver(state, epoch);
  }

  giveUp(ms?: number): unknown {
    return this.host.giveUp(ms);
  }

  joined(): void {
    this.host.joined?.();
  }

  healthBounds(): HealthBounds | undefined {
    return this.host.healthBounds?.();
  }

  registries(): readonly Registry[] {
    return this.host.registries?.() ?? [];
  }
}
