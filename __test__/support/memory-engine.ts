/**
 * A group inside one process, to see where calls are routed to without processes: the applications of one test are its
 * members, the first to start is primary. Values are cloned, as if they had travelled.
 */
import { EventEmitter } from 'node:events';
import type { Engine, EngineHost } from '../../ts/engine/engine';
import { ProcessAgentError } from '../../ts/errors';
import type { AgentEvents, CallOptions, Explanation, Member, Role } from '../../ts/interface';
import type { Decision } from '../../ts/role/decision';

const members: LocalEngine[] = [];
export const calls: { name: string; args: unknown[]; options: CallOptions | undefined }[] = [];

/** Lets a test hold the election back. */
export const election: { hold: Promise<void> | undefined; failure: Error | undefined } = {
  hold: undefined,
  failure: undefined,
};

export class LocalEngine implements Engine {
  readonly events = new EventEmitter<AgentEvents>();
  readonly group: string;
  role: Role | undefined;
  epoch = 0;
  ready = async () => {};
  markedReady = false;
  readonly #host: EngineHost;
  readonly #decision: Decision;

  constructor(decision: Decision, _config: unknown, host: EngineHost) {
    this.group = decision.group;
    this.#decision = decision;
    this.#host = host;
  }

  async start(): Promise<void> {
    await election.hold;
    if (election.failure) {
      throw election.failure;
    }
    members.push(this);
    this.#take(members[0] === this ? 'primary' : 'worker');
  }

  markReady(): void {
    this.markedReady = true;
  }

  async call(name: string, args: unknown[], options?: CallOptions): Promise<unknown> {
    calls.push({ name, args, options });
    const primary = members.find(each => each.role === 'primary');
    if (!primary || this.role === undefined) {
      throw new ProcessAgentError('ERR_AGENT_CLOSED', 'Left.', { outcome: 'not-sent' });
    }
    const result = await primary.#host.invoke(name, structuredClone(args), undefined);
    return structuredClone(result);
  }

  async members(): Promise<Member[]> {
    return [];
  }

  explain(): Explanation {
    const { deployment, group, reasons } = this.#decision;
    return { deployment, group, folder: '/memory', role: this.role, epoch: this.epoch, reasons };
  }

  async handOver(): Promise<void> {
    const wasPrimary = this.role === 'primary';
    this.#take('worker');
    if (wasPrimary) {
      const next = members.find(each => each !== this);
      if (next) {
        next.#take('primary');
      }
    }
  }

  async close(): Promise<void> {
    if (members.includes(this)) {
      await this.handOver();
      members.splice(members.indexOf(this), 1);
    }
    this.role = undefined;
  }

  static get count(): number {
    return members.length;
  }

  #take(role: Role): void {
    this.role = role;
    this.epoch = 1;
    this.events.emit(role, { epoch: 1 });
  }
}
