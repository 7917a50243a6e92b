/** Questions about the group itself: who is in it, and is there a primary that answers? */
import { ProcessAgentError } from '../errors';
import type { Member } from '../interface';
import type { NativeAgent } from '../native';
import { closedError } from './call-errors';
import type { Standing } from './engine';

interface Question<T> {
  what: string;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export class Questions {
  #request = 0;
  readonly #forMembers = new Map<number, Question<Member[]>>();
  readonly #forHealth = new Map<number, Question<Standing[]>>();
  readonly #forReadiness = new Set<Question<void>>();

  constructor(
    /** Asks the Rust side; the answer comes with the same number. */
    private readonly agent: () => Pick<NativeAgent, 'listMembers' | 'askHealth'>,
    /** Says why there is no primary, for one who has waited in vain. */
    private readonly whyWaiting: () => string,
    /** A question keeps the process alive. */
    private readonly keepAlive: (pending: boolean) => void,
  ) {}

  members(timeout: number): Promise<Member[]> {
    return this.#ask('members()', timeout, question => {
      const request = ++this.#request;
      this.#forMembers.set(request, question);
      this.agent().listMembers(request);
      return () => this.#forMembers.delete(request);
    });
  }

  standings(timeout: number): Promise<Standing[]> {
    return this.#ask('health', timeout, question => {
      const request = ++this.#request;
      this.#forHealth.set(request, question);
      this.agent().askHealth(request);
      return () => this.#forHealth.delete(request);
    });
  }

  /** Resolves with the next `becomeReady()`. */
  ready(timeout: number): Promise<void> {
    return this.#ask('ready()', timeout, question => {
      this.#forReadiness.add(question);
      return () => this.#forReadiness.delete(question);
    });
  }

  answerMembers(request: number, members: Member[]): void {
    this.#forMembers.get(request)?.resolve(members);
  }

  answerHealth(request: number, members: Standing[]): void {
    this.#forHealth.get(request)?.resolve(members);
  }

  becomeReady(): void {
    for (const question of this.#forReadiness) {
      question.resolve();
    }
  }

  /** They were asked of a primary that is gone. */
  askAgain(): void {
    for (const request of this.#forMembers.keys()) {
      this.agent().listMembers(request);
    }
    for (const request of this.#forHealth.keys()) {
      this.agent().askHealth(request);
    }
  }

  close(): void {
    for (const question of [...this.#forMembers.values(), ...this.#forHealth.values(), ...this.#forReadiness]) {
      question.reject(closedError('not-sent', question.what));
    }
  }

  /** `key` is what the timeout was configured by. */
  noPrimary(what: string, timeout: number, key?: string): ProcessAgentError {
    const message = `${what}: waited ${timeout} ms${key ? ` (${key})` : ''}: ${this.whyWaiting()}`;
    return new ProcessAgentError('ERR_AGENT_NO_PRIMARY', message, { outcome: 'not-sent' });
  }

  #ask<T>(what: string, timeout: number, put: (question: Question<T>) => () => void): Promise<T> {
    this.keepAlive(true);
    let take: (() => void) | undefined;
    let timer: NodeJS.Timeout | undefined;
    return new Promise<T>((resolve, reject) => {
      timer = setTimeout(() => reject(this.noPrimary(what, timeout)), timeout);
      take = put({ what, resolve, reject });
    }).finally(() => {
      clearTimeout(timer);
      take?.();
      this.keepAlive(false);
    });
  }
}
