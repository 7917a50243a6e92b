/**
 * The engine that joins processes of one host, through the native agent: it turns notices of the Rust side into a
 * role, and gives the lanes to the calls.
 */
import type { EventEmitter } from 'node:events';
import { threadId } from 'node:worker_threads';
import { sharedController } from '../abort';
import { AgentEmitter } from '../agent-events';
import { Deadline, now } from '../clock';
import { decode, type Encoded } from '../codec';
import type { ResolvedConfig } from '../config';
import { type AgentErrorCode, ProcessAgentError } from '../errors';
import { textOf } from '../guard';
import type { AgentEvents, Explanation, Member, MemberOutcome, Role } from '../interface';
import { isInspected, loadBinding, type NativeAgent } from '../native';
import { WaitedCall } from '../own-call';
import type { Decision } from '../role/decision';
import { runtime } from '../runtime';
import { VERSION } from '../state';
import { turns } from '../turns';
import { nativeAdmin } from './admin';
import { Answers } from './answers';
import { LARGEST_BATCH } from './batch';
import { closedError } from './call-errors';
import { discard } from './discard';
import type {
  Engine,
  EngineCallOptions,
  EngineGatherOptions,
  EngineHost,
  EngineLogger,
  ScrapeOptions,
  Standing,
} from './engine';
import { forgetGoodbye, sayGoodbyeAtExit, sayGoodbyeInAnyCase } from './goodbye';
import { IncomingCalls } from './incoming';
import { Lanes } from './lanes';
import { EngineMetrics } from './metrics';
import type { IncomingParcel, Notice } from './notice';
import { Others } from './others';
import { OutgoingCalls } from './outgoing';
import { Questions } from './questions';
import { Requests, type SendParcel } from './requests';
import { stateToLeave, takeOver } from './takeover';
import { type Candidacy, frozen, laneReason, noCandidate, roleReason, whyNoPrimary } from './words';

/** The same in all its groups: it tells a member that joins again from one whose process was started again. */
const STARTED_AT = Math.round(Date.now() - process.uptime() * 1000);

/** Longer than any process lives: a timer that only keeps the event loop alive. */
const FOREVER = 2 ** 31 - 1;

/** How long (ms) hooks may take to say what the next primary shall know, when the calls have taken all the time. */
const SHORTEST_LEAVE = 200;

/** How long (ms) nobody may have made a call before a process that stops takes it that nobody is going to. */
const QUIET = 10;

/** How long (ms) a start waits for somebody else to lead before it says so. */
const LONG_WAIT = 1_000;

/** A question for the members that is no user's: their numbers begin at 1. */
const SETTLE = 0;

/** What an engine that is closing still has to hear. */
const HEEDED_WHEN_CLOSED = new Set<Notice['type']>(['closed', 'finishing', 'log', 'lane-closed', 'leaderless']);

export class LocalEngine implements Engine {
  readonly group: string;
  readonly events: AgentEmitter;
  role: Role | undefined;
  epoch = 0;
  readonly #agent: NativeAgent;
  readonly #outgoing: OutgoingCalls;
  readonly #incoming: IncomingCalls;
  readonly #requests: Requests;
  readonly #answers: Answers;
  readonly #questions: Questions;
  readonly #metrics: EngineMetrics;
  readonly #keepAlive: NodeJS.Timeout;
  #holds = 0;
  readonly #lanes: Lanes;
  readonly #others = new Others(
    (event, member) => this.#emit(event, member),
    () => this.#agent.listMembers(SETTLE),
  );
  #primary: Member | undefined;
  /** Our id in this tenure. */
  #id = 0;
  #joinedAt = 0;
  #primaryReady = false;
  /** Since when there has been no primary, of the monotonic clock; 0 while there is one. */
  #leaderlessSince = now();
  /** The tenure that this process leads, or is taking over; 0 while it does not. */
  #leads = 0;
  /** The native agent was told that this process does not lead any more. */
  #standsDown = false;
  #tenure: AbortController | undefined;
  /** This process's own start-up has finished. */
  #ready = false;
  #inspected = false;
  #closed = false;
  #closing: Promise<void> | undefined;
  /** When a stop that has begun must not wait any longer. */
  #stopBy: Deadline | undefined;
  #whenStarted: { resolve(): void; reject(error: unknown): void } | undefined;
  /** Resolves when the native agent has ended, by itself after a failure, or because it was told to leave. */
  readonly #ended: Promise<void>;
  #end!: () => void;
  #whenLeaderless: (() => void) | undefined;

  constructor(
    private readonly decision: Decision,
    private readonly config: ResolvedConfig,
    private readonly host: EngineHost,
    /** For tests of version skew: the oldest and the newest version of the protocol to speak. */
    protocols?: number[],
  ) {
    const { NativeAgent } = loadBinding();
    this.#ended = new Promise(resolve => {
      this.#end = resolve;
    });
    this.group = decision.group;
    this.events = new AgentEmitter(host.logger);
    const why = () => this.#whyNoPrimary();
    const hold = (pending: boolean) => this.#holdProcess(pending ? 1 : -1);
    this.#incoming = new IncomingCalls(host, config);
    this.#requests = new Requests(config, why, hold);
    this.#answers = new Answers(host, config.maxPayload);
    this.#questions = new Questions(() => this.#agent, why, hold);
    const telling = new Uint8Array([1]);
    const inbox = Buffer.alloc(LARGEST_BATCH);
    this.#agent = new NativeAgent(
      {
        group: decision.group,
        groupKey: decision.groupKey,
        runtimeDir: config.runtimeDir,
        user: config.user,
        deployment: decision.deployment,
        version: VERSION,
        threadId,
        startedAt: STARTED_AT,
        candidate: config.candidate && decision.candidate,
        preferred: decision.preferred,
        waitForPreferred: decision.waitForPreferred,
        maxPayload: config.maxPayload,
        maxHeld: config.maxPendingBytes,
        maxSilence: config.primary.maxBlocked,
        maxLag: config.health.maxLag,
        forgetDead: config.health.forgetDead,
        killFrozen: config.primary.onFrozen === 'kill',
        metricsGrace: 2 * config.metrics.pushInterval,
        libuv: runtime.hasLibuv,
        pollLanes: process.env.MIDWAY_PROCESS_AGENT_LANE !== 'thread',
        spin: config.spin && process.env.MIDWAY_PROCESS_AGENT_SPIN !== '0',
        admin: nativeAdmin(config, host.healthBounds?.()),
        protocols,
      },
      this.#takeSoon,
      (epoch, scrape, left) => this.#metrics.answer(epoch, scrape, left),
      this.#onFrame,
      telling,
      inbox,
    );
    this.#metrics = new EngineMetrics(config, host, this.#agent, () => this.#outgoing.count, why, hold);
    this.#outgoing = new OutgoingCalls(config, why, hold, this.#metrics.own, args => discard(this.#agent, args));
    this.#lanes = new Lanes(this.#agent, this.#outgoing, this.#incoming, telling, inbox);
    sayGoodbyeAtExit(this.#agent);
    this.#keepAlive = setInterval(() => {}, FOREVER).unref();
  }

  get tenure(): AbortSignal | undefined {
    if (this.role !== 'primary') {
      return undefined;
    }
    this.#tenure ??= sharedController();
    return this.#tenure.signal;
  }

  get self(): Member {
    return {
      id: this.#id,
      pid: process.pid,
      threadId,
      role: this.role ?? 'worker',
      deployment: this.decision.deployment,
      state: this.#stopBy ? 'leaving' : this.#ready ? 'ready' : 'starting',
      joinedAt: this.#joinedAt,
      startedAt: STARTED_AT,
      version: VERSION,
      candidate: this.config.candidate && this.decision.candidate,
      lagMs: 0,
    };
  }

  start(): Promise<void> {
    this.#holdProcess(1);
    const started = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(this.#questions.noPrimary('start', this.config.readyTimeout, 'processAgent.readyTimeout')),
        this.config.readyTimeout,
      );
      // One that may lead may be about to start, so it is waited for: but not without a word.
      const told = this.#candidacy === 'yes' ? undefined : setTimeout(this.#tellNoCandidate, LONG_WAIT);
      this.#whenStarted = {
        resolve: () => {
          clearTimeout(timer);
          clearTimeout(told);
          resolve();
        },
        reject: error => {
          clearTimeout(timer);
          clearTimeout(told);
          reject(error);
        },
      };
      if (this.role) {
        this.#whenStarted.resolve();
      }
    });
    return started.finally(() => {
      this.#whenStarted = undefined;
      this.#holdProcess(-1);
    });
  }

  readonly #tellNoCandidate = (): void => {
    if (!this.#primary) {
      const { readyTimeout } = this.config;
      this.host.logger.warn(
        `[process-agent] ${noCandidate(this.group, this.#candidacy)}; waiting for it, for ${readyTimeout} ms (processAgent.readyTimeout)`,
      );
    }
  };

  markReady(): void {
    this.#ready = true;
    this.#answers.markReady();
    // A process that is about to become primary says so when it has taken over.
    if (!this.#leads || this.role === 'primary') {
      this.#agent.ready();
    }
  }

  ready(timeout = this.config.readyTimeout): Promise<void> {
    if (this.#closed) {
      return Promise.reject(closedError('not-sent', 'ready()'));
    }
    return this.#isReady() ? Promise.resolve() : this.#questions.ready(timeout);
  }

  call(name: string, args: unknown[], options?: EngineCallOptions): Promise<unknown> {
    // Not async itself: see OutgoingCalls.
    return this.role === 'primary' && !this.#closed
      ? this.#callHere(name, args)
      : this.#outgoing.call(name, args, options);
  }

  /** Its caller saw another role a moment ago. */
  async #callHere(name: string, args: unknown[]): Promise<unknown> {
    return this.host.invoke(name, args, undefined);
  }

  gather(name: string, args: unknown[], options: EngineGatherOptions): Promise<MemberOutcome[]> {
    return this.#requests.gather(name, args, options);
  }

  publish(topic: string, data: unknown): Promise<void> {
    return this.#requests.publish(topic, data);
  }

  scrape(options: ScrapeOptions): Promise<string> {
    return this.#metrics.scrape(options);
  }

  members(): Promise<Member[]> {
    if (this.#closed) {
      return Promise.reject(closedError('not-sent', 'members()'));
    }
    return this.#questions.members(this.config.readyTimeout);
  }

  async standings(timeout: number): Promise<Standing[]> {
    if (this.#closed) {
      throw closedError('not-sent', 'health');
    }
    return this.#questions.standings(timeout);
  }

  get leaderlessFor(): number {
    return this.#leaderlessSince && now() - this.#leaderlessSince;
  }

  explain(): Explanation {
    const { deployment, reasons } = this.decision;
    const role = this.#closed ? undefined : this.role;
    return {
      deployment,
      group: this.group,
      folder: this.#agent.folder,
      role,
      epoch: this.epoch,
      reasons: [...reasons, roleReason(role, this.epoch, this.#primary), laneReason(this.#agent)],
    };
  }

  async handOver(): Promise<void> {
    const stopBy = new Deadline(this.config.stopTimeout);
    this.#stopBy = stopBy;
    if (this.role !== 'primary') {
      // If it is just taking over, what was left to it is left to the next one.
      this.#leads = 0;
      this.#standDown(0);
      return;
    }
    if (!this.#others.hasCandidate) {
      // Whoever is left is stopping too, or may not lead: until the end this process answers best.
      return;
    }
    this.#holdProcess(1);
    const gone = new Promise<void>(resolve => {
      this.#whenLeaderless = resolve;
    });
    await this.#incoming.refuse(this.config.stopTimeout);
    if (this.role === 'primary') {
      // From here on calls of this process wait for the next primary as well: what it keeps changes no more.
      this.#endTenure('this process hands over');
      // The next primary knows them before this process joins it.
      await this.#metrics.flush();
      const state = await stateToLeave(this.host, Math.max(SHORTEST_LEAVE, stopBy.left));
      this.#standDown(stopBy.left, state);
    } else {
      this.#standDown(0);
    }
    await gone;
    this.#holdProcess(-1);
  }

  async drained(): Promise<void> {
    const stopBy = this.#stopBy;
    if (stopBy && !stopBy.hasPassed) {
      this.#holdProcess(1);
      const { left } = stopBy;
      const accepted = this.role === 'primary' ? this.#incoming.refuse(left) : undefined;
      await Promise.all([this.#quiet(stopBy), this.#requests.idle(left), accepted, this.#metrics.joined()]);
      // The process may exit as soon as nothing is waited for any more.
      await this.#metrics.flush();
      this.#holdProcess(-1);
    }
  }

  /** Who has the answer of one call may be about to make the next: a moment without calls is not the end of them. */
  async #quiet(stopBy: Deadline): Promise<void> {
    do {
      await this.#outgoing.idle(stopBy.left);
      await new Promise(resolve => setTimeout(resolve, QUIET));
      // On a busy machine that is one turn, and a request takes some to be accepted, read and parsed.
      await turns();
    } while (this.#outgoing.isBusy && !stopBy.hasPassed);
  }

  async close(isAwaited = true): Promise<void> {
    this.#closing ??= this.#close();
    this.#holdProcess(isAwaited ? 1 : 0);
    await this.#closing;
  }

  /** Nothing is awaited before the native agent is told to leave: the process may exit in this very turn. */
  #close(): Promise<void> {
    this.#closed = true;
    // Before the lock is freed: what runs in this process alone must not run beside the next primary's.
    this.#endTenure('this process leaves its group');
    this.role = undefined;
    void this.#incoming.refuse(0);
    this.#others.pause();
    this.#outgoing.close();
    this.#requests.close();
    this.#questions.close();
    this.#whenStarted?.reject(closedError('not-sent', 'start'));
    this.events.removeAllListeners();
    sayGoodbyeInAnyCase(this.#agent);
    const told = this.#metrics.close();
    if (!told) {
      this.#agent.leave();
    }
    return this.#leave(told);
  }

  async #leave(told: Promise<void> | undefined): Promise<void> {
    if (told) {
      await told;
      this.#agent.leave();
    }
    await this.#ended;
    forgetGoodbye(this.#agent);
    clearInterval(this.#keepAlive);
  }

  // ----- what the Rust side tells; neither function may throw

  /**
   * A bounded part in each turn of the event loop. Not in the wake-up itself: Node runs wake-ups that come while it
   * runs one in the same turn, so that a flood of calls would keep timers and sockets waiting for seconds.
   */
  readonly #takeSoon = (): void => {
    // Now: other immediates may come first, and what they do is no part of the turn that was asked for.
    if (this.#agent.woken()) {
      setImmediate(this.#take);
    }
  };

  readonly #take = (): void => {
    if (this.#agent.take(this.#onFrame, this.#onNotice)) {
      setImmediate(this.#take);
    }
  };

  readonly #onFrame = (lane: number, kind: number, payload: Encoded | number): void => {
    try {
      this.#lanes.receive(lane, kind, payload);
    } catch (error) {
      this.host.logger.error('[process-agent] a frame could not be read: its lane is closed', error);
      this.#agent.refuseLane(lane, textOf(error));
    }
  };

  /** `left`: for how many ms from now somebody waits for what it asks. */
  readonly #onNotice = (json: string, body: Encoded | null, left: number | null): void => {
    try {
      this.#heed(JSON.parse(json) as Notice, body ?? undefined, left ?? 0);
    } catch (error) {
      this.host.logger.error('[process-agent] a listener of the agent has failed', error);
    }
  };

  #heed(notice: Notice, body: Encoded | undefined, left: number): void {
    if (this.#closed && !HEEDED_WHEN_CLOSED.has(notice.type)) {
      if (notice.type === 'following') {
        // The last that it has to say.
        this.#metrics.join(notice.epoch, this.#senderFor(notice.epoch), notice.maxPayload);
      }
      return;
    }
    switch (notice.type) {
      case 'elected':
        this.#enter(notice.id, [], notice.dead);
        if (!this.#standsDown) {
          this.#takeOver(notice.epoch, body);
        }
        break;
      case 'following':
        this.#enter(notice.id, [notice.primary, ...notice.members], notice.dead);
        this.#becomeWorker(notice.epoch, notice.primary, notice.maxPayload);
        break;
      case 'finishing':
        // Those that came in this very turn were told that they are not accepted: the word has to go out before the last.
        this.#incoming.flush();
        this.#agent.finishLanes();
        break;
      case 'leaderless':
        this.#loseLeader(notice.written, notice.taken);
        break;
      case 'primary-ready':
        this.#primaryReady = true;
        if (this.#primary) {
          this.#others.setState(this.#primary.id, 'ready');
        }
        this.#openOutgoing();
        break;
      case 'primary-frozen':
        this.#freeze(notice.silentMs);
        break;
      case 'primary-thawed':
        this.#thaw();
        break;
      case 'ping':
        this.#tellInspected();
        break;
      case 'lane-open':
        this.#lanes.open(notice, this.#others.get(notice.peer));
        this.#agent.readLane(notice.lane);
        this.#openOutgoing();
        break;
      case 'lane-closed':
        this.#lanes.close(notice);
        break;
      case 'member-joined':
        this.#others.join(notice.member);
        this.host.joined?.();
        break;
      case 'member-left':
        this.#others.leave(notice.member);
        break;
      case 'member-state':
        this.#others.setState(notice.id, notice.state);
        break;
      case 'members':
        if (notice.request === SETTLE) {
          this.#others.settle();
        } else {
          this.#questions.answerMembers(notice.request, notice.members);
        }
        break;
      case 'health':
        this.#questions.answerHealth(notice.request, notice.members);
        break;
      case 'parcel':
        this.#receive(notice.parcel, body ?? 'null', left);
        break;
      case 'log':
        this.#log(notice.level, `[process-agent] ${notice.message}`);
        break;
      case 'failed':
        this.#fail(new ProcessAgentError(notice.code as AgentErrorCode, notice.message, { outcome: 'not-sent' }));
        break;
      case 'closed':
        this.#loseLeader(0, 0);
        if (!this.#closed) {
          // It has failed: nobody may take this process for a member any more.
          this.role = undefined;
        }
        this.#end();
        break;
    }
  }

  /** The Rust side limits its lines itself. */
  #log(level: keyof EngineLogger, line: string): void {
    const { logger } = this.host;
    logger.forward ? logger.forward(level, line) : logger[level](line);
  }

  #receive(parcel: IncomingParcel, body: Encoded, left: number): void {
    switch (parcel.type) {
      case 'ask':
        this.#answers.answer(parcel, body, this.epoch, this.#senderFor(this.epoch), left);
        break;
      case 'topic':
        this.host.deliver(parcel.topic, () => decode(body), parcel.from);
        break;
      default:
        this.#metrics.heed(parcel, body) || this.#requests.heed(parcel, body);
    }
  }

  // ----- roles

  #joinRequests(epoch: number, maxPayload: number): void {
    this.#answers.maxPayloadOfPrimary = maxPayload;
    this.#requests.join(this.#senderFor(epoch), maxPayload);
    this.#metrics.join(epoch, this.#senderFor(epoch), maxPayload);
  }

  #enter(id: number, members: Member[], dead: Member[]): void {
    this.#id = id;
    this.#joinedAt = Date.now();
    this.#leaderlessSince = 0;
    this.#others.enter(
      members.filter(member => member.id !== id),
      dead,
    );
  }

  /** The lock is ours. What the application wants to do before it is primary, it does first. */
  #takeOver(epoch: number, state: Encoded | undefined): void {
    this.epoch = epoch;
    this.#leads = epoch;
    this.#primary = undefined;
    this.#joinRequests(epoch, this.config.maxPayload);
    const become = () => {
      if (this.#leads === epoch && !this.#closed) {
        this.#becomePrimary(epoch);
      }
    };
    takeOver(this.host, state, epoch, become);
  }

  #standDown(grace: number, state?: Encoded): void {
    this.#standsDown = true;
    this.#agent.handOver(grace, state);
  }

  #becomePrimary(epoch: number): void {
    this.#agent.tookOver(epoch);
    this.role = 'primary';
    this.#metrics.own.roleChanges++;
    this.#incoming.accept();
    if (this.#ready) {
      this.#agent.ready();
    }
    this.#whenStarted?.resolve();
    this.#ask();
    this.#outgoing.runHere(
      (name, args, waited) => this.host.invoke(name, args, waited),
      carrier =>
        carrier || this.host.wantsInvocations
          ? new WaitedCall(() => this.self, epoch, this.tenure, carrier)
          : undefined,
    );
    this.#emit('primary', { epoch });
    this.#emit('primary-changed', { epoch, pid: process.pid });
    this.#others.tell();
  }

  #becomeWorker(epoch: number, primary: Member, maxPayload: number): void {
    this.role = 'worker';
    this.#metrics.own.roleChanges++;
    this.epoch = epoch;
    this.#primary = primary;
    this.#primaryReady = false;
    this.#joinRequests(epoch, maxPayload);
    this.#whenStarted?.resolve();
    this.#ask();
    this.#emit('worker', { epoch });
    this.#emit('primary-changed', { epoch, pid: primary.pid });
    this.#others.tell();
  }

  #loseLeader(written: number, taken: number | null): void {
    this.#endTenure('another process is primary, or is about to be');
    this.#leads = 0;
    this.#leaderlessSince ||= now();
    this.#others.pause();
    this.#primary = undefined;
    this.#primaryReady = false;
    this.#incoming.suspend();
    this.#outgoing.thaw();
    this.#outgoing.pause();
    this.#requests.leave(written, taken);
    this.#metrics.leave();
    this.#whenLeaderless?.();
    this.#whenLeaderless = undefined;
  }

  #endTenure(why: string): void {
    if (this.role === 'primary') {
      this.role = 'worker';
    }
    const tenure = this.#tenure;
    this.#tenure = undefined;
    tenure?.abort(new ProcessAgentError('ERR_AGENT_ABORTED', `This process is primary no more: ${why}.`));
  }

  #freeze(silentMs: number): void {
    const { what, why } = frozen(this.#primary, silentMs);
    this.host.logger.warn(`[process-agent] ${what}; calls fail until it goes on or dies`);
    this.#outgoing.freeze(why);
    this.#requests.freeze(why);
    this.#metrics.freeze(why);
  }

  #thaw(): void {
    this.host.logger.warn(`[process-agent] the primary, pid ${this.#primary?.pid}, goes on`);
    this.#outgoing.thaw();
    this.#requests.thaw();
    this.#metrics.thaw();
  }

  #tellInspected(): void {
    const inspected = isInspected();
    if (inspected !== this.#inspected) {
      this.#inspected = inspected;
      this.#agent.setInspected(inspected);
    }
  }

  /** Calls flow when the lane is open and the primary has finished its own start-up. */
  #openOutgoing(): void {
    if (this.#primaryReady && !this.#closed && this.#lanes.openToPrimary(this.epoch)) {
      this.#settleReady();
    }
  }

  /** Sends parcels of this tenure alone: in a later one the Rust side drops them. */
  #senderFor(epoch: number): SendParcel {
    return (parcel, body) => this.#agent.sendParcel(epoch, JSON.stringify(parcel), body);
  }

  #fail(error: ProcessAgentError): void {
    if (this.#whenStarted) {
      this.#whenStarted.reject(error);
    } else {
      this.host.logger.error(`[process-agent] ${error.code}: ${error.message}`);
    }
  }

  /** Questions that were asked of a primary that is gone. */
  #ask(): void {
    this.#questions.askAgain();
    this.#settleReady();
  }

  #isReady(): boolean {
    return this.role === 'primary' || (this.role === 'worker' && this.#primaryReady && this.#lanes.hasPrimary);
  }

  #settleReady(): void {
    if (this.#isReady()) {
      this.#questions.becomeReady();
    }
  }

  get #candidacy(): Candidacy {
    return this.config.candidate ? (this.decision.candidate ? 'yes' : 'deployment') : 'config';
  }

  #whyNoPrimary(): string {
    return whyNoPrimary(this.group, this.#agent.folder, this.#primary, this.#candidacy);
  }

  #emit<K extends keyof AgentEvents>(event: K, payload: AgentEvents[K][0]): void {
    (this.events as EventEmitter).emit(event, payload);
  }

  /** Counts what must keep the process alive. */
  #holdProcess(change: 1 | 0 | -1): void {
    this.#holds += change;
    if (this.#holds > 0) {
      this.#keepAlive.ref();
    } else {
      this.#keepAlive.unref();
    }
  }
}
