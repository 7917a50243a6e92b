/**
 * One application's part in its group: its engine, its names and its handlers. It belongs to the application's
 * container, so that two applications of one process never share one.
 */
import { EventEmitter } from 'node:events';
import { type ResolvedConfig, resolveConfig } from './config';
import { isDecorated, readableName } from './decorator/registry';
import { createEngine } from './engine';
import type { Engine, EngineHost, EngineLogger } from './engine/engine';
import { decideNow } from './environment';
import { ProcessAgentError } from './errors';
import { type CallTarget, WireNames } from './identity';
import type { AgentEvents, CallOptions } from './interface';
import { type ApplicationContext, configurationOf, instanceOf, loggerOf, onObjectCreated } from './midway';
import type { Decision } from './role/decision';
import { attach } from './route';
import { state } from './state';

export type Handler = (...args: never[]) => unknown;

/** Begins the names of handlers between processes; no method's name begins with it. */
const HANDLER_PREFIX = '#';
const EVENTS = ['primary', 'worker', 'primary-changed', 'member-joined', 'member-left'] as const;

export class Membership implements EngineHost {
  /** What ProcessAgentService listens to: there from the first moment, unlike the engine. */
  readonly events = new EventEmitter<AgentEvents>();
  readonly logger: EngineLogger;
  readonly wantsInvocations = false;
  phase: 'new' | 'starting' | 'live' | 'closed' = 'new';
  /** Settles when the start has succeeded or failed. */
  started: Promise<void> | undefined;
  config: ResolvedConfig | undefined;
  decision: Decision | undefined;
  /** The 1st, 2nd, ... concurrently live application of this process in the same deployment. */
  #ordinal = 1;
  #engine: Engine | undefined;
  #names: WireNames | undefined;
  #closing: Promise<void> | undefined;
  #endMeeting: (() => void) | undefined;
  readonly #container: ApplicationContext;
  readonly #handlers = new Map<string, Handler>();
  readonly #singletons = new Map<CallTarget['bound'], object>();

  constructor(container: ApplicationContext) {
    this.#container = container;
    this.logger = loggerOf(container);
  }

  /** The engine, once started. Throws `ERR_AGENT_NOT_STARTED` or `ERR_AGENT_CLOSED`. */
  get engine(): Engine {
    if (this.#engine && this.phase !== 'closed') {
      return this.#engine;
    }
    throw this.phase === 'closed'
      ? new ProcessAgentError('ERR_AGENT_CLOSED', 'The application has been closed.', { outcome: 'not-sent' })
      : new ProcessAgentError('ERR_AGENT_NOT_STARTED', 'The application has not started yet.', {
          outcome: 'not-sent',
        });
  }

  get role(): Engine['role'] {
    return this.#engine?.role;
  }

  get epoch(): number {
    return this.#engine?.epoch ?? 0;
  }

  get names(): WireNames {
    return this.#names as WireNames;
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
    }
  }

  async handOver(): Promise<void> {
    if (this.phase === 'live') {
      await this.#engine?.handOver();
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  handle(name: string, handler: Handler): void {
    if (typeof name !== 'string' || name === '' || name.length > 200) {
      throw new ProcessAgentError('ERR_AGENT_CONFIG', 'handle(): a name is a string of 1 to 200 characters.');
    }
    if (typeof handler !== 'function') {
      throw new ProcessAgentError('ERR_AGENT_CONFIG', `handle('${name}'): the second argument must be a function.`);
    }
    if (this.#handlers.has(name)) {
      throw new ProcessAgentError('ERR_AGENT_AMBIGUOUS', `handle('${name}'): there is a handler of this name already.`);
    }
    this.#handlers.set(name, handler);
  }

  async callHandler(name: string, args: unknown[], options?: CallOptions): Promise<unknown> {
    await this.started;
    const wireName = HANDLER_PREFIX + name;
    return this.engine.role === 'primary' ? this.invoke(wireName, args) : this.engine.call(wireName, args, options);
  }

  /** Runs a call of another member, in this process. */
  invoke(name: string, args: unknown[]): unknown {
    if (name.startsWith(HANDLER_PREFIX)) {
      const handler = this.#handlers.get(name.slice(HANDLER_PREFIX.length));
      if (!handler) {
        throw new ProcessAgentError(
          'ERR_AGENT_UNKNOWN_METHOD',
          `The primary (pid ${process.pid}) has no handler '${name.slice(1)}': handle() was not called there.`,
          { outcome: 'not-sent' },
        );
      }
      return handler(...(args as never[]));
    }
    const target = this.names.resolve(name);
    const singleton = this.#singletons.get(target.bound);
    // The original, not the method that the object has: aspects ran in the caller.
    return singleton ? target.method.original.apply(singleton, args as never[]) : this.#invokeOnNew(target, args);
  }

  deliver(): void {}

  takeOver(): void {}

  giveUp(): undefined {}

  async #invokeOnNew(target: CallTarget, args: unknown[]): Promise<unknown> {
    const instance = await instanceOf(this.#container, target.bound);
    if (target.bound.singleton) {
      this.#singletons.set(target.bound, instance);
    }
    return target.method.original.apply(instance, args as never[]);
  }

  async #start(): Promise<void> {
    try {
      this.config = resolveConfig(configurationOf(this.#container));
      this.#names = new WireNames(this.#container);
      this.decision = this.#decide();
      this.phase = 'starting';
      state.memberships.push(this);
      onObjectCreated(this.#container, instance => {
        if (isDecorated(instance)) {
          attach(instance, this);
        }
      });
      if (this.decision.deployment === 'thread') {
        const { meetMainThread } = require('./engine/threads') as typeof import('./engine/threads');
        this.#endMeeting = await meetMainThread();
        if (this.#closing) {
          this.#endMeeting();
          throw new ProcessAgentError('ERR_AGENT_CLOSED', 'The application was closed while it started.');
        }
      }
      this.#engine = createEngine(this.decision, this.config, this, hasThreads => this.#decide(hasThreads));
      this.#forwardEvents(this.#engine);
      announceChange();
      await this.#engine.start();
      if (this.#closing) {
        throw new ProcessAgentError('ERR_AGENT_CLOSED', 'The application was closed while it started.');
      }
      this.phase = 'live';
    } catch (err) {
      // Why it could not start is worth more than why it could not stop.
      await this.close().catch(() => {});
      throw err;
    } finally {
      announceChange();
    }
    this.#warn();
  }

  async #close(): Promise<void> {
    const lived = this.phase === 'live';
    if (lived) {
      // Requests that came before the stop may still be waiting for a call, and go on to make others.
      await this.#engine?.drained?.();
    }
    this.phase = 'closed';
    const index = state.memberships.indexOf(this);
    if (index >= 0) {
      state.memberships.splice(index, 1);
    }
    state.hasClosed ||= lived;
    this.#singletons.clear();
    this.#endMeeting?.();
    try {
      await this.#engine?.close();
    } finally {
      this.events.removeAllListeners();
      announceChange();
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

  #forwardEvents(engine: Engine): void {
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
    const plain = this.names.methods().filter(method => {
      const type: unknown = Reflect.getMetadata?.('design:returntype', method.owner, method.key);
      // Without an annotation nothing is known: `undefined`, or Object for an interface.
      return typeof type === 'function' && type.name !== 'Promise' && type !== Object && !('then' in type.prototype);
    });
    if (plain.length > 0) {
      this.logger.warn(
        '[process-agent] %s: declared with @RunInPrimary() and not to return a Promise, which they do return in ' +
          'every process but the primary. Make them async.',
        plain.map(readableName).join(', '),
      );
    }
  }
}

function announceChange(): void {
  for (const listener of [...state.listeners]) {
    listener();
  }
}
