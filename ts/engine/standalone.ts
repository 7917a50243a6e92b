/** A group of one: no binary, thread, file or timer. */
import { threadId } from 'node:worker_threads';
import { sharedController } from '../abort';
import { AgentEmitter } from '../agent-events';
import { decode } from '../codec';
import type { ResolvedConfig } from '../config';
import { encodeFor } from '../copy';
import { ProcessAgentError } from '../errors';
import type { Explanation, Member, MemberOutcome, Role } from '../interface';
import { readable } from '../prefix';
import type { Decision } from '../role/decision';
import { VERSION } from '../state';
import { closedError } from './call-errors';
import type { Endpoint, Told } from './endpoint';
import type { Engine, EngineGatherOptions, EngineHost, Standing } from './engine';

export class StandaloneEngine implements Engine {
  readonly group: string;
  readonly events: AgentEmitter;
  role: Role | undefined;
  epoch = 0;
  readonly leaderlessFor = 0;
  readonly #decision: Decision;
  readonly #config: ResolvedConfig;
  readonly #host: EngineHost;
  #joinedAt = 0;
  #ready = false;
  #stopping = false;
  #endpoint: Endpoint | undefined;
  readonly #tenure = sharedController();

  constructor(decision: Decision, config: ResolvedConfig, host: EngineHost) {
    this.#decision = decision;
    this.#config = config;
    this.#host = host;
    this.group = decision.group;
    this.events = new AgentEmitter(host.logger);
  }

  get tenure(): AbortSignal | undefined {
    return this.role ? this.#tenure.signal : undefined;
  }

  get self(): Member {
    return {
      id: 1,
      pid: process.pid,
      threadId,
      role: 'primary',
      deployment: this.#decision.deployment,
      state: this.#stopping ? 'leaving' : this.#ready ? 'ready' : 'starting',
      joinedAt: this.#joinedAt,
      startedAt: Math.round(Date.now() - process.uptime() * 1000),
      version: VERSION,
      candidate: this.#config.candidate,
      lagMs: 0,
    };
  }

  async start(): Promise<void> {
    await this.#host.takeOver(undefined, 1);
    if (this.#tenure.signal.aborted) {
      return;
    }
    this.role = 'primary';
    this.epoch = 1;
    this.#joinedAt = Date.now();
    this.#openEndpoint();
    this.events.emit('primary', { epoch: 1 });
    this.events.emit('primary-changed', { epoch: 1, pid: process.pid });
  }

  markReady(): void {
    this.#ready = true;
  }

  async ready(): Promise<void> {
    this.#refuseWhenClosed('ready()');
  }

  /** Only reached when the application has been closed between a caller's look at the role and its call. */
  async call(name: string): Promise<never> {
    throw closedError('not-sent', name);
  }

  async members(): Promise<Member[]> {
    this.#refuseWhenClosed('members()');
    return [this.self];
  }

  async standings(): Promise<Standing[]> {
    this.#refuseWhenClosed('health');
    const member = this.self;
    return [{ member, state: member.state === 'ready' ? 'ok' : member.state, since: this.#joinedAt }];
  }

  /** There is no lane, so nothing is encoded: `own` runs with what the caller has. */
  async gather(name: string, _args: unknown[], { timeout, own }: EngineGatherOptions): Promise<MemberOutcome[]> {
    this.#refuseWhenClosed(name);
    const member = this.self;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const message = `${readable(name)}: pid ${member.pid} has not answered within ${timeout} ms.`;
      const give = () => reject(new ProcessAgentError('ERR_AGENT_TIMEOUT', message, { outcome: 'unknown' }));
      timer = setTimeout(give, timeout);
    });
    try {
      return [{ member, status: 'fulfilled', value: await Promise.race([own(), late]) }];
    } catch (reason) {
      return [{ member, status: 'rejected', reason }];
    } finally {
      clearTimeout(timer);
    }
  }

  async publish(topic: string, data: unknown): Promise<void> {
    this.#refuseWhenClosed(`publish('${topic}')`);
    const encoded = encodeFor(`publish('${topic}')`, data, 'data');
    // As in a group: whoever publishes goes on before anybody hears of it.
    await null;
    this.#host.deliver(topic, () => decode(encoded), this.self);
  }

  explain(): Explanation {
    return {
      deployment: this.#decision.deployment,
      group: this.group,
      folder: undefined,
      role: this.role,
      epoch: this.epoch,
      reasons: [...this.#decision.reasons, 'Alone in its group, this process is its primary; nothing is shared.'],
    };
  }

  async handOver(): Promise<void> {
    // There is nobody to hand over to, and requests that still drain go on calling.
    this.#stopping = true;
  }

  async close(): Promise<void> {
    this.role = undefined;
    this.epoch = 0;
    this.#endpoint?.close();
    this.#tenure.abort(new ProcessAgentError('ERR_AGENT_CLOSED', 'The application has been closed.'));
    this.events.removeAllListeners();
  }

  #openEndpoint(): void {
    const { monitored, logger } = this.#host;
    if (this.#config.admin && monitored) {
      const told: Told = { ...monitored, group: this.group, epoch: this.epoch, members: () => this.members() };
      // Only now: most applications have none.
      const { Endpoint } = require('./endpoint') as typeof import('./endpoint');
      this.#endpoint = new Endpoint(this.#config.admin, told, logger);
    }
  }

  #refuseWhenClosed(name: string): void {
    if (this.role === undefined) {
      throw closedError('not-sent', name);
    }
  }
}
