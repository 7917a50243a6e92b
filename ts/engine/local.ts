/**
 * The engine that joins processes of one host, through the native agent: it turns notices of the Rust side into a
 * role, and gives the lanes to the calls.
 */
import { EventEmitter } from 'node:events';
import { threadId } from 'node:worker_threads';
import type { Encoded } from '../codec';
import type { ResolvedConfig } from '../config';
import { type AgentErrorCode, decodeError, ProcessAgentError } from '../errors';
import type { AgentEvents, CallOptions, Explanation, Member, Role } from '../interface';
import { FrameKind, loadBinding, type NativeAgent } from '../native';
import type { Decision } from '../role/decision';
import { VERSION } from '../state';
import type { Engine, EngineHost } from './engine';
import { IncomingCalls, type IncomingLane } from './incoming';
import type { Notice } from './notice';
import { closedError, OutgoingCalls, Thrown } from './outgoing';

/** Longer than any process lives: a timer that only keeps the event loop alive. */
const FOREVER = 2 ** 31 - 1;

/** What an engine that is closing still has to hear. */
const HEEDED_WHEN_CLOSED = new Set<Notice['type']>(['closed', 'log', 'lane-closed', 'leaderless']);

interface Question<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

export class LocalEngine implements Engine {
  readonly group: string;
  readonly events = new EventEmitter<AgentEvents>();
  role: Role | undefined;
  epoch = 0;
  readonly #agent: NativeAgent;
  readonly #outgoing: OutgoingCalls;
  readonly #incoming: IncomingCalls;
  readonly #keepAlive: NodeJS.Timeout;
  #pending = 0;
  /** Lanes of members, while this process is primary. */
  readonly #members = new Map<number, IncomingLane>();
  /** The others, as far as this tenure told: to know whether there is somebody to hand over to. */
  readonly #others = new Map<number, Member>();
  #toPrimary: { id: number; epoch: number; maxPayload: number } | undefined;
  #primary: Member | undefined;
  #primaryReady = false;
  #closed = false;
  /** When a stop that has begun must not wait any longer; ms since 1970. */
  #stopUntil = 0;
  #request = 0;
  readonly #questions = new Map<number, Question<Member[]>>();
  readonly #whenReady = new Set<Question<void>>();
  #whenStarted: { resolve(): void; reject(error: unknown): void } | undefined;
  /** Resolves when the native agent has ended, by itself after a failure, or because it was told to leave. */
  readonly #ended: Promise<void>;
  #end!: () => void;
  #whenLeaderless: (() => void) | undefined;

  constructor(
    private readonly decision: Decision,
    private readonly config: ResolvedConfig,
    private readonly host: EngineHost,
  ) {
    const { NativeAgent } = loadBinding();
    this.#ended = new Promise(resolve => {
      this.#end = resolve;
    });
    this.group = decision.group;
    this.#outgoing = new OutgoingCalls(
      config,
      () => this.#whyNoPrimary(),
      pending => this.#holdProcess(pending ? 1 : -1),
    );
    this.#incoming = new IncomingCalls(host, config.maxPayload);
    this.#agent = new NativeAgent(
      {
        group: decision.group,
        groupKey: decision.groupKey,
        runtimeDir: config.runtimeDir,
        deployment: decision.deployment,
        version: VERSION,
        threadId,
        startedAt: Math.round(Date.now() - process.uptime() * 1000),
        candidate: config.candidate && decision.candidate,
        preferred: decision.preferred,
        waitForPreferred: decision.waitForPreferred,
        maxPayload: config.maxPayload,
      },
      this.#takeSoon,
    );
    this.#keepAlive = setInterval(() => {}, FOREVER).unref();
  }

  start(): Promise<void> {
    this.#holdProcess(1);
    const started = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(this.#noPrimary('start', this.config.readyTimeout)),
        this.config.readyTimeout,
      );
      this.#whenStarted = {
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
        reject: error => {
          clearTimeout(timer);
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

  markReady(): void {
    this.#agent.ready();
  }

  ready(timeout = this.config.readyTimeout): Promise<void> {
    if (this.#closed) {
      return Promise.reject(closedError('not-sent'));
    }
    if (this.#isReady()) {
      return Promise.resolve();
    }
    return this.#ask('ready()', timeout, question => {
      this.#whenReady.add(question);
      return () => this.#whenReady.delete(question);
    });
  }

  async call(name: string, args: unknown[], options?: CallOptions): Promise<unknown> {
    if (this.role === 'primary' && !this.#closed) {
      // Its caller saw another role a moment ago.
      return this.host.invoke(name, args, undefined);
    }
    try {
      return await this.#outgoing.call(name, args, options);
    } catch (error) {
      // A stack taken here shows the callers that await; taking it before each call would cost more than the call.
      throw error instanceof Thrown ? decodeError(error.plain, new Error().stack) : error;
    }
  }

  members(): Promise<Member[]> {
    if (this.#closed) {
      return Promise.reject(closedError('not-sent'));
    }
    return this.#ask('members()', this.config.readyTimeout, question => {
      const request = ++this.#request;
      this.#questions.set(request, question);
      this.#agent.listMembers(request);
      return () => this.#questions.delete(request);
    });
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
      reasons: [...reasons, this.#roleReason(role)],
    };
  }

  async handOver(): Promise<void> {
    this.#stopUntil = Date.now() + this.config.stopTimeout;
    if (this.role !== 'primary') {
      this.#agent.handOver();
      return;
    }
    if (!this.#hasSuccessor()) {
      // Whoever is left is stopping too, or may not lead: until the end this process answers best.
      return;
    }
    const gone = new Promise<void>(resolve => {
      this.#whenLeaderless = resolve;
    });
    await this.#incoming.refuse(this.config.stopTimeout);
    if (this.role === 'primary') {
      // Said here, where frames are taken: the count of what was accepted is exact.
      this.#agent.finishLanes();
      this.role = 'worker';
    }
    this.#agent.handOver();
    this.#holdProcess(1);
    await gone;
    this.#holdProcess(-1);
  }

  async drained(): Promise<void> {
    const left = this.#stopUntil - Date.now();
    if (left > 0) {
      const accepted = this.role === 'primary' ? this.#incoming.refuse(left) : undefined;
      await Promise.all([this.#outgoing.idle(left), accepted]);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#outgoing.close();
    for (const question of [...this.#questions.values(), ...this.#whenReady]) {
      question.reject(closedError('not-sent'));
    }
    this.#whenStarted?.reject(closedError('not-sent'));
    this.#holdProcess(1);
    this.#agent.leave();
    await this.#ended;
    clearInterval(this.#keepAlive);
    this.role = undefined;
    this.events.removeAllListeners();
  }

  // ----- what the Rust side tells; neither function may throw

  /**
   * A bounded part in each turn of the event loop. Not in the wake-up itself: Node runs wake-ups that come while it
   * runs one in the same turn, so that a flood of calls would keep timers and sockets waiting for seconds.
   */
  readonly #takeSoon = (): void => {
    setImmediate(this.#take);
  };

  readonly #take = (): void => {
    if (this.#agent.take(this.#onFrame, this.#onNotice)) {
      setImmediate(this.#take);
    }
  };

  readonly #onFrame = (lane: number, kind: number, _epoch: number, payload: string | Buffer): void => {
    try {
      if (kind === FrameKind.Replies) {
        this.#outgoing.receive(lane, payload);
      } else {
        const member = this.#members.get(lane);
        if (member) {
          this.#incoming.receive(member, payload);
        }
      }
    } catch (error) {
      this.host.logger.error('[process-agent] a frame could not be read', error);
    }
  };

  readonly #onNotice = (json: string): void => {
    try {
      this.#heed(JSON.parse(json) as Notice);
    } catch (error) {
      this.host.logger.error('[process-agent] a listener of the agent has failed', error);
    }
  };

  #heed(notice: Notice): void {
    if (this.#closed && !HEEDED_WHEN_CLOSED.has(notice.type)) {
      return;
    }
    switch (notice.type) {
      case 'elected':
        this.#becomePrimary(notice.epoch);
        break;
      case 'following':
        this.#becomeWorker(notice.epoch, notice.primary);
        break;
      case 'leaderless':
        this.#loseLeader();
        break;
      case 'primary-ready':
        this.#primaryReady = true;
        this.#openOutgoing();
        break;
      case 'lane-open':
        this.#openLane(notice);
        break;
      case 'lane-closed':
        this.#closeLane(notice.lane, notice.written, notice.accepted);
        break;
      case 'member-joined':
        this.#others.set(notice.member.id, notice.member);
        this.#emit('member-joined', notice.member);
        break;
      case 'member-left':
        this.#others.delete(notice.member.id);
        this.#emit('member-left', notice.member);
        break;
      case 'member-state': {
        const member = this.#others.get(notice.id);
        if (member) {
          member.state = notice.state;
        }
        break;
      }
      case 'members':
        this.#questions.get(notice.request)?.resolve(notice.members);
        break;
      case 'log':
        this.host.logger[notice.level](`[process-agent] ${notice.message}`);
        break;
      case 'failed':
        this.#fail(new ProcessAgentError(notice.code as AgentErrorCode, notice.message, { outcome: 'not-sent' }));
        break;
      case 'closed':
        this.#loseLeader();
        if (!this.#closed) {
          // It has failed: nobody may take this process for a member any more.
          this.role = undefined;
        }
        this.#end();
        break;
    }
  }

  #becomePrimary(epoch: number): void {
    this.role = 'primary';
    this.epoch = epoch;
    this.#others.clear();
    this.#primary = undefined;
    this.#incoming.accept();
    this.#whenStarted?.resolve();
    this.#askAgain();
    this.#outgoing.runHere((name, args) => this.host.invoke(name, args, undefined));
    this.#emit('primary', { epoch });
    this.#emit('primary-changed', { epoch, pid: process.pid });
  }

  #becomeWorker(epoch: number, primary: Member): void {
    this.role = 'worker';
    this.epoch = epoch;
    this.#others.clear();
    this.#primary = primary;
    this.#primaryReady = false;
    this.#whenStarted?.resolve();
    this.#askAgain();
    this.#emit('worker', { epoch });
    this.#emit('primary-changed', { epoch, pid: primary.pid });
  }

  #loseLeader(): void {
    if (this.role === 'primary') {
      this.role = 'worker';
    }
    this.#primary = undefined;
    this.#primaryReady = false;
    this.#outgoing.pause();
    this.#whenLeaderless?.();
    this.#whenLeaderless = undefined;
  }

  #openLane({ lane, epoch, maxPayload, callsUs }: Notice & { type: 'lane-open' }): void {
    if (callsUs) {
      const send = (payload: Encoded) => this.#send(lane, FrameKind.Replies, payload);
      this.#members.set(lane, { id: lane, maxPayload, send });
    } else {
      this.#toPrimary = { id: lane, epoch, maxPayload };
      this.#openOutgoing();
    }
  }

  #closeLane(lane: number, written: number, accepted: number | null): void {
    const member = this.#members.get(lane);
    if (member) {
      this.#members.delete(lane);
      this.#incoming.forget(member);
      return;
    }
    if (this.#toPrimary?.id === lane) {
      this.#toPrimary = undefined;
    }
    this.#outgoing.closeLane(lane, written, accepted);
  }

  /** Calls flow when the lane is open and the primary has finished its own start-up. */
  #openOutgoing(): void {
    const lane = this.#toPrimary;
    if (!lane || !this.#primaryReady || lane.epoch !== this.epoch || this.#closed) {
      return;
    }
    this.#outgoing.open({ ...lane, send: payload => this.#send(lane.id, FrameKind.Calls, payload) });
    this.#settleReady();
  }

  #send(lane: number, kind: number, payload: Encoded): number {
    return typeof payload === 'string'
      ? this.#agent.sendText(lane, kind, payload)
      : this.#agent.sendBytes(lane, kind, payload);
  }

  #fail(error: ProcessAgentError): void {
    if (this.#whenStarted) {
      this.#whenStarted.reject(error);
    } else {
      this.host.logger.error(`[process-agent] ${error.code}: ${error.message}`);
    }
  }

  // ----- questions and answers

  #ask<T>(what: string, timeout: number, put: (question: Question<T>) => () => void): Promise<T> {
    this.#holdProcess(1);
    let take: (() => void) | undefined;
    let timer: NodeJS.Timeout | undefined;
    return new Promise<T>((resolve, reject) => {
      timer = setTimeout(() => reject(this.#noPrimary(what, timeout)), timeout);
      take = put({ resolve, reject });
    }).finally(() => {
      clearTimeout(timer);
      take?.();
      this.#holdProcess(-1);
    });
  }

  /** Questions that were asked of a primary that is gone. */
  #askAgain(): void {
    for (const request of this.#questions.keys()) {
      this.#agent.listMembers(request);
    }
    this.#settleReady();
  }

  #isReady(): boolean {
    return this.role === 'primary' || (this.role === 'worker' && this.#primaryReady && this.#toPrimary !== undefined);
  }

  #settleReady(): void {
    if (this.#isReady()) {
      for (const question of this.#whenReady) {
        question.resolve();
      }
    }
  }

  #hasSuccessor(): boolean {
    return [...this.#others.values()].some(member => member.candidate && member.state !== 'leaving');
  }

  #noPrimary(what: string, timeout: number): ProcessAgentError {
    const message = `${what}: waited ${timeout} ms: ${this.#whyNoPrimary()}`;
    return new ProcessAgentError('ERR_AGENT_NO_PRIMARY', message, { outcome: 'not-sent' });
  }

  #whyNoPrimary(): string {
    return this.#primary
      ? `the primary of group ${this.group}, pid ${this.#primary.pid}, has not finished its own start-up.`
      : `group ${this.group} has no primary that answers; folder ${this.#agent.folder}.`;
  }

  #roleReason(role: Role | undefined): string {
    switch (role) {
      case 'primary':
        return `This process holds the lock of the group's folder, so it is primary, in epoch ${this.epoch}.`;
      case 'worker':
        return this.#primary
          ? `Pid ${this.#primary.pid} holds the lock of the group's folder, so this process is a worker.`
          : 'The primary is gone; the election of the next one is under way.';
      default:
        return 'No election has taken place yet, or the application has left the group.';
    }
  }

  #emit<K extends keyof AgentEvents>(event: K, payload: AgentEvents[K][0]): void {
    try {
      (this.events as EventEmitter).emit(event, payload);
    } catch (error) {
      this.host.logger.error(`[process-agent] a listener of '${event}' has failed`, error);
    }
  }

  /** Counts what must keep the process alive. */
  #holdProcess(change: 1 | -1): void {
    this.#pending += change;
    if (this.#pending > 0) {
      this.#keepAlive.ref();
    } else {
      this.#keepAlive.unref();
    }
  }
}
