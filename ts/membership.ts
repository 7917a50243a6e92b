/**
 * One application's part in its group: its engine, its names and its handlers. It belongs to the application's
 * container, so that two applications of one process never share one.
 */
import type { EventEmitter } from 'node:events';
import { threadId } from 'node:worker_threads';
import { AgentEmitter } from './agent-events';
import { Deadline } from './clock';
import { DEFAULTS, type ResolvedConfig, resolveConfig } from './config';
import { runUnder } from './current-call';
import { goDirect, joins } from './decorator/direct';
import { isDecorated, readableName, returnsPlainValue } from './decorator/registry';
import { createEngine } from './engine';
import type { Engine, EngineHost, HealthBounds, Invocation, Monitored } from './engine/engine';
import { decideNow } from './environment';
import { ProcessAgentError } from './errors';
import { messageOf } from './guard';
import { OwnChecks } from './health/checks';
import { bounds, CHECKS, GroupCheck } from './health/group-check';
import { NAMESPACE } from './health/namespace';
import type { GroupHealth, Member, MetricsRegistry, TransferHooks } from './interface';
import { AgentLog } from './log';
import { GroupMetrics } from './metrics/group';
import { PROMETHEUS } from './metrics/prometheus';
import {
  type ApplicationContext,
  baseDirOf,
  beforeDestroyed,
  configurationOf,
  configuredHealthTimeoutOf,
  hasNamespace,
  healthChecksOf,
  isDevelopment,
  loggerOf,
  onObjectCreated,
} from './midway';
import { EVENTS } from './options';
import { OwnInvocation } from './own-call';
import { OwnRuns } from './own-runs';
import { readable } from './prefix';
import type { Decision } from './role/decision';
import { attach } from './route';
import { state, VERSION } from './state';
import { StrictCopy } from './strict';
import { Targets } from './targets';
import { Topics } from './topics';
import { runInContext } from './tracing';
import { Transfers } from './transfer';
import { turns } from './turns';

/** Longer than any process lives: a timer that only keeps the event loop alive. */
const FOREVER = 2 ** 31 - 1;

/** Applications of this process that are leaving their groups. */
const leaving = new Set<Promise<void>>();

/** ms of the time to give up that are left to what says what the next primary shall know. */
const TIME_FOR_HOOKS = 200;

export class Membership implements EngineHost {
  /** What ProcessAgentService listens to: there from the first moment, unlike the engine. */
  readonly events: AgentEmitter;
  readonly logger: AgentLog;
  /** Set when there is a ProcessAgentService: only through it can somebody ask for the current call. */
  wantsInvocations = false;
  readonly targets: Targets;
  readonly topics: Topics;
  readonly transfers: Transfers;
  /** This process's own health checks. */
  readonly checks: OwnChecks;
  readonly metrics: GroupMetrics;
  phase: 'new' | 'starting' | 'live' | 'closed' = 'new';
  /** The application's own start-up has finished. */
  isReady = false;
  /** Settles when the start has succeeded or failed. */
  started: Promise<void> | undefined;
  config: ResolvedConfig | undefined;
  decision: Decision | undefined;
  /** `undefined` when it is off. */
  strict: StrictCopy | undefined;
  /** `undefined` when nothing is kept for the next primary. */
  ownRuns: OwnRuns | undefined;
  readonly monitored: Monitored = {
    metrics: async () => ({ contentType: this.metrics.contentType, text: await this.metrics.text() }),
    health: () => this.groupHealth(),
  };
  /** The 1st, 2nd, ... concurrently live application of this process in the same deployment. */
  #ordinal = 1;
  #engine: Engine | undefined;
  #closing: Promise<void> | undefined;
  /** What a stop waits for was waited for in `onStop`. */
  hasDrained = false;
  /** When a stop that has begun must have come to its end. */
  #leaveBy = new Deadline(0);
  #endMeeting: (() => void) | undefined;
  readonly #groupCheck = new GroupCheck(this);

  constructor(readonly container: ApplicationContext) {
    this.checks = new OwnChecks(() => healthChecksOf(container, NAMESPACE));
    this.logger = new AgentLog(loggerOf(container));
    this.events = new AgentEmitter(this.logger);
    this.targets = new Targets(container);
    this.targets.own.set(CHECKS, timeout => this.checks.run(timeout as number));
    this.metrics = new GroupMetrics(this, () => baseDirOf(container));
    this.topics = new Topics(this.logger);
    this.transfers = new Transfers(this.logger, () => ({
      takeOver: this.settings.readyTimeout,
      giveUp: this.settings.stopTimeout,
    }));
  }

  /** The configuration, or what it is before it was read. */
  get settings(): ResolvedConfig {
    return this.config ?? (DEFAULTS as ResolvedConfig);
  }

  /** The engine, once started. Throws `ERR_AGENT_NOT_STARTED` or `ERR_AGENT_CLOSED`. */
  get engine(): Engine {
    return this.engineFor();
  }

  /** The same for a call, or a question to all; an error says its name. */
  engineFor(name?: string): Engine {
    if (this.#engine && this.phase !== 'closed') {
      return this.#engine;
    }
    const isClosed = this.phase === 'closed';
    const why = `application has ${isClosed ? 'been closed' : 'not started yet'}`;
    throw new ProcessAgentError(
      isClosed ? 'ERR_AGENT_CLOSED' : 'ERR_AGENT_NOT_STARTED',
      name === undefined ? `The ${why}.` : `${readable(name)}: the ${why}; it was not sent.`,
      { outcome: 'not-sent' },
    );
  }

  get role(): Engine['role'] {
    return this.#engine?.role;
  }

  /** Whether calls to the primary run here: while it gives up, too, for what it has begun before. */
  get runsCalls(): boolean {
    return this.role === 'primary' || this.ownRuns?.goesOn === true;
  }

  /** Whether its group is this application alone: nothing is ever sent. */
  get isAlone(): boolean {
    return this.engine.explain().deployment === 'standalone';
  }

  get epoch(): number {
    return this.#engine?.epoch ?? 0;
  }

  get tenure(): AbortSignal | undefined {
    return this.#engine?.tenure;
  }

  /** Joins the group. Resolves after the election; what fails leaves nothing behind. */
  start(): Promise<void> {
    if (!this.started) {
      this.started = this.#start();
      // Whoever waits for the start handles the failure; the lifecycle gets it from the return value.
      this.started.catch(() => {});
    }
    return this.started;
  }

  /** The application's own start-up has finished. */
  markReady(): void {
    if (this.phase === 'live') {
      this.#engine?.markReady();
      this.isReady = true;
      goDirect();
    }
  }

  /** Everything that is known of the group's health. */
  groupHealth(): Promise<GroupHealth> {
    return this.#groupCheck.look({ ownChecks: true, untilFailure: false });
  }

  /** What Midway's own health check of this process is to say of the others. Never rejects. */
  async othersHealth(): Promise<{ status: boolean; reason?: string }> {
    // Before the start nobody can be asked, after the end nobody needs to be.
    if (this.phase !== 'live' || !this.settings.health.group || this.isAlone) {
      return { status: true };
    }
    try {
      const { status, reason } = await this.#groupCheck.look({ ownChecks: false, untilFailure: true });
      return status ? { status } : { status, reason };
    } catch (error) {
      return { status: false, reason: `the group's health can't be told: ${messageOf(error)}` };
    }
  }

  async handOver(): Promise<void> {
    if (this.phase === 'live') {
      this.#leaveBy = new Deadline(this.transfers.limits.giveUp);
      await this.#engine?.handOver();
      // The server is closed next: connections that the operating system has accepted are read first.
      await turns();
    }
  }

  /**
   * Leaves the group. A call that is made from now on fails at once; the lock, files, sockets and the thread are gone
   * when it has resolved. `isAwaited`: the event loop lives until then. A process that exits before has left in order.
   */
  close({ isAwaited = false } = {}): Promise<void> {
    this.#closing ??= this.#close();
    return isAwaited ? holding(this.#closing) : this.#closing;
  }

  /** Runs what another member has called, or this process before it was primary, or what one has asked of all. */
  invoke(name: string, args: unknown[], invocation: Invocation | undefined): unknown {
    const { ownRuns } = this;
    const work = () => this.targets.run(name, args);
    const run = ownRuns && (!invocation || invocation.isOwnCall) ? () => ownRuns.run(work) : work;
    if (!invocation) {
      return run();
    }
    const within = this.wantsInvocations ? () => runUnder(invocation, run) : run;
    return invocation.carrier ? runInContext(invocation.carrier, within) : within();
  }

  knows(name: string): boolean {
    return this.targets.knows(name);
  }

  /** For what this process runs as others would run it in another member. */
  ownInvocation(): OwnInvocation {
    const { engine } = this;
    return new OwnInvocation(() => engine.self ?? this.#unknownSelf(), engine.epoch, engine.tenure);
  }

  deliver(topic: string, data: () => unknown, from: Member): void {
    this.topics.deliver(topic, data, from);
  }

  takeOver(state: unknown, epoch: number): void | Promise<void> {
    return this.transfers.takeOver(state, epoch);
  }

  stayPrimary(epoch: number): void {
    this.transfers.goOn(epoch);
  }

  joined(): void {
    this.metrics.tellMembers();
  }

  healthBounds(): HealthBounds {
    return bounds(configuredHealthTimeoutOf(this.container));
  }

  registries(): readonly MetricsRegistry[] {
    return this.metrics.registries();
  }

  scraped(): void {
    this.metrics.scraped();
  }

  async giveUp(ms = this.transfers.limits.giveUp): Promise<unknown> {
    const deadline = new Deadline(ms);
    await this.ownRuns?.finish(ms - TIME_FOR_HOOKS);
    return this.transfers.giveUp(deadline.left);
  }

  transfer(name: string, hooks: TransferHooks): Promise<void> {
    const added = this.transfers.add(name, hooks);
    if (!this.ownRuns && this.phase !== 'closed') {
      this.ownRuns = new OwnRuns();
      state.watching++;
    }
    return added;
  }

  async #start(): Promise<void> {
    try {
      joins();
      const hasPrometheus = hasNamespace(this.container, PROMETHEUS);
      // Its users have them on their dashboards.
      this.config = resolveConfig(configurationOf(this.container), hasPrometheus ? 'max' : 'drop');
      this.targets.read();
      this.decision = this.#decide();
      this.#beStrict(this.config.strictCopy ?? (isDevelopment(this.container) ? 'warn' : 'off'));
      this.phase = 'starting';
      state.memberships.push(this);
      beforeDestroyed(this.container, async () => {
        if (!this.hasDrained) {
          await this.drain();
        }
      });
      onObjectCreated(this.container, instance => {
        if (isDecorated(instance)) {
          attach(instance, this);
        }
      });
      if (this.decision.deployment === 'thread') {
        const { meetMainThread } = require('./engine/threads') as typeof import('./engine/threads');
        this.#endMeeting = await meetMainThread();
        this.#goOn();
      }
      if (hasPrometheus) {
        await this.metrics.besidePrometheus(this.container);
        this.#goOn();
      }
      if (leaving.size > 0 && this.decision.deployment !== 'standalone') {
        // An application that takes the place of another does not find that one in its group.
        await holding(Promise.allSettled(leaving));
        this.#goOn();
      }
      this.#engine = createEngine(this.decision, this.config, this, hasThreads => this.#decide(hasThreads));
      this.#forwardEvents(this.#engine);
      announceChange();
      await this.#engine.start();
      this.#goOn();
      this.phase = 'live';
    } catch (err) {
      // Why it could not start is worth more than why it could not stop.
      await this.close({ isAwaited: true }).catch(() => {});
      throw err;
    } finally {
      announceChange();
    }
    this.#warn();
  }

  /** Throws when the application has been closed while it started. */
  #goOn(): void {
    if (this.#closing) {
      this.#endMeeting?.();
      throw new ProcessAgentError('ERR_AGENT_CLOSED', 'The application was closed while it started.');
    }
  }

  /** Nothing is awaited before the engine has begun to leave: the process may exit in this very turn. */
  #close(): Promise<void> {
    const lived = this.phase === 'live';
    this.phase = 'closed';
    const index = state.memberships.indexOf(this);
    if (index >= 0) {
      state.memberships.splice(index, 1);
    }
    state.hasClosed ||= lived;
    goDirect();
    this.targets.clear();
    this.topics.clear();
    this.#beStrict('off');
    state.watching -= Number(this.ownRuns !== undefined);
    this.ownRuns = undefined;
    this.#endMeeting?.();
    this.events.removeAllListeners();
    const left = this.#engine?.close(false) ?? Promise.resolve();
    announceChange();
    const settled = left.then(forget, forget);
    leaving.add(settled);
    function forget() {
      leaving.delete(settled);
    }
    return left;
  }

  /**
   * Requests that came before the stop may still be waiting for a call, and go on to make others. Resolves when no call is
   * under way, or after `stopTimeout` since the hand-over began.
   */
  async drain(): Promise<void> {
    while (this.phase === 'live') {
      await Promise.all([this.#engine?.drained?.(), this.ownRuns?.idle(this.#leaveBy.left)]);
      if (!this.ownRuns?.isBusy || this.#leaveBy.hasPassed) {
        return;
      }
    }
  }

  #decide(hasThreads = false): Decision {
    const decision = decideNow(this.config?.group, hasThreads);
    if (this.phase === 'new') {
      const taken = state.memberships.filter(each => each !== this).map(each => each.#ordinal);
      while (taken.includes(this.#ordinal)) {
        this.#ordinal++;
      }
    }
    if (this.#ordinal === 1) {
      return decision;
    }
    return {
      ...decision,
      group: `${decision.group}#${this.#ordinal}`,
      groupKey: `${decision.groupKey}#${this.#ordinal}`,
      reasons: [
        ...decision.reasons,
        `It is application number ${this.#ordinal} of this process, and applications do not share a group.`,
      ],
    };
  }

  #beStrict(mode: 'off' | 'warn' | 'error'): void {
    const before = this.strict;
    this.strict = mode === 'off' ? undefined : new StrictCopy(mode, this.logger);
    state.watching += Number(this.strict !== undefined) - Number(before !== undefined);
  }

  /** Of an engine that does not say which member this process is. */
  #unknownSelf(): Member {
    const startedAt = Math.round(Date.now() - process.uptime() * 1000);
    return {
      id: 0,
      pid: process.pid,
      threadId,
      role: this.role ?? 'worker',
      deployment: this.decision?.deployment ?? 'standalone',
      state: 'ready',
      joinedAt: startedAt,
      startedAt,
      version: VERSION,
      candidate: this.config?.candidate ?? true,
      lagMs: 0,
    };
  }

  #forwardEvents(engine: Engine): void {
    engine.events.on('worker', () => this.transfers.end());
    for (const event of EVENTS) {
      engine.events.on(event, (...args: unknown[]) => {
        (this.events as EventEmitter).emit(event, ...args);
      });
    }
  }

  #warn(): void {
    if (this.decision?.warning) {
      this.logger.warn('[process-agent] %s', this.decision.warning);
    }
    this.#warnOfMadeNames();
    this.#warnOfContexts();
    const plain = this.targets.names.methods().filter(returnsPlainValue);
    if (plain.length > 0) {
      this.logger.warn(
        '[process-agent] %s: declared with @RunInPrimary() and not to return a Promise, which they do return in ' +
          'every process but the primary. Make them async.',
        plain.map(readableName).join(', '),
      );
    }
  }

  /** A call from another process has no request, and its object gets a context of its own. */
  #warnOfContexts(): void {
    const classes = this.targets.names.withContext();
    if (classes.length > 0) {
      this.logger.warn(
        '[process-agent] %s: a class with a decorated method gets its request by @Inject() ctx. Run for another process, the ' +
          'method has a ctx that knows nothing of the request: pass what it needs as arguments.',
        someOf(classes),
      );
    }
  }

  /** Where nothing is ever sent, names mean nothing. */
  #warnOfMadeNames(): void {
    const made = this.isAlone ? [] : this.targets.names.madeByMinifier();
    if (made.length > 0) {
      this.logger.warn(
        '[process-agent] %s: a minifier made these class names, and in the next build they may mean other classes. While ' +
          'two builds run side by side, calls of these methods from one to the other fail (ERR_AGENT_UNKNOWN_METHOD, ' +
          "not-sent). Give them names that stay: @RunInPrimary({ name }) on the method, @Provide('id') on the class, or " +
          'have the minifier keep class names (esbuild: keepNames; terser and webpack: keep_classnames).',
        someOf(made),
      );
    }
  }
}

/** At most 20 names, as one text. */
function someOf(names: readonly string[]): string {
  const left = names.length - 20;
  return names.slice(0, 20).join(', ') + (left > 0 ? ` and ${left} more` : '');
}

/** Keeps the event loop alive until `work` has settled. */
async function holding<T>(work: Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, FOREVER);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}

function announceChange(): void {
  for (const listener of [...state.listeners]) {
    listener();
  }
}
