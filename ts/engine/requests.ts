/**
 * What this process asks of the broker: gathers and publishings. Each is settled by the broker's word on it, a gather
 * also when that does not come in time.
 */
import { decode, type Encoded, sizeOf } from '../codec';
import { encodeFor } from '../copy';
import { type CallOutcome, ProcessAgentError } from '../errors';
import type { MemberOutcome } from '../interface';
import { readable } from '../prefix';
import { WhenIdle } from '../when-idle';
import { closedError } from './call-errors';
import type { EngineGatherOptions } from './engine';
import { Gathering } from './gathering';
import type { IncomingParcel, Missing, OutgoingParcel } from './notice';
import { tooLarge } from './outcome';
import type { OutgoingLimits } from './outgoing';
import { carrierText } from './wire';

interface Request {
  readonly parcel: OutgoingParcel & { request: number };
  readonly body: Encoded;
  readonly name: string;
  /** Called when it is sent for the first time. */
  readonly begin: (() => void) | undefined;
  readonly gathering: Gathering | undefined;
  resolve(): void;
  reject(error: unknown): void;
  /** Its place among those sent in this tenure, counted from 1; 0 while it waits. */
  place: number;
  hasBegun: boolean;
  waiting: NodeJS.Timeout | undefined;
}

export type SendParcel = (parcel: OutgoingParcel, body: Encoded) => void;

export class Requests {
  /** In the order in which they were made. */
  readonly #pending = new Map<number, Request>();
  #last = 0;
  #sent = 0;
  #held = 0;
  #send: SendParcel | undefined;
  #limit = 0;
  readonly #idle = new WhenIdle(() => this.#pending.size > 0);
  #closed = false;
  #frozen: ((what: string, outcome: CallOutcome) => ProcessAgentError) | undefined;

  constructor(
    private readonly limits: OutgoingLimits,
    private readonly whyWaiting: () => string,
    private readonly keepAlive: (pending: boolean) => void,
  ) {}

  async gather(name: string, args: unknown[], options: EngineGatherOptions): Promise<MemberOutcome[]> {
    const body = this.#encode(name, args, 'args');
    const gathering = new Gathering(name, options);
    const { timeout: timeoutMs } = options;
    // As with calls: one that is too large stays here.
    const carrier = carrierText(options.carrier) === undefined ? undefined : options.carrier;
    const parcel = { type: 'gather' as const, request: this.#number(), name, timeoutMs, carrier };
    try {
      await this.#request({ parcel, body, name, begin: () => gathering.begin(), gathering });
      return await gathering.outcomes();
    } finally {
      gathering.end();
    }
  }

  async publish(topic: string, data: unknown): Promise<void> {
    const name = `publish('${topic}')`;
    const body = this.#encode(name, data, 'data');
    const parcel = { type: 'publish' as const, request: this.#number(), topic };
    await this.#request({ parcel, body, name, begin: undefined, gathering: undefined });
  }

  /** A tenure has begun in which the broker can be asked: what waits is sent, in order. It takes so many bytes. */
  join(send: SendParcel, maxPayload: number): void {
    this.#send = send;
    this.#limit = maxPayload;
    this.#sent = 0;
    for (const request of this.#pending.values()) {
      this.#dispatch(request, send);
    }
  }

  /**
   * The tenure has ended. `written` counts what was handed over to the broker's socket, `taken` what a broker that
   * handed over has taken: what is beyond is asked again, of the next one.
   */
  leave(written: number, taken: number | null): void {
    this.#send = undefined;
    this.#frozen = undefined;
    for (const request of [...this.#pending.values()]) {
      if (request.place > (taken ?? written)) {
        request.place = 0;
        request.gathering?.unasked();
        this.#wait(request);
      } else if (request.place > 0) {
        const message =
          `${readable(request.name)}: the primary ${taken === null ? 'died' : 'handed over'} before all was said; ` +
          'some members may have got it.';
        this.#settle(request, new ProcessAgentError('ERR_AGENT_PRIMARY_LOST', message, { outcome: 'unknown' }));
      }
    }
  }

  /** Resolves when nothing is pending, or after `timeout` ms. */
  idle(timeout: number): Promise<void> {
    return this.#idle.wait(timeout);
  }

  heed(parcel: IncomingParcel, body: Encoded): void {
    const request = 'request' in parcel ? this.#pending.get(parcel.request) : undefined;
    if (!request?.place) {
      return;
    }
    if (parcel.type === 'outcome') {
      request.gathering?.answer(parcel.member, parcel.status, body);
    } else if (parcel.type === 'gathered') {
      request.gathering?.gathered(parcel.asker, decode(body) as Missing[]);
      this.#settle(request);
    } else if (parcel.type === 'published') {
      this.#settle(request);
    }
  }

  freeze(why: (what: string, outcome: CallOutcome) => ProcessAgentError): void {
    this.#frozen = why;
    for (const request of [...this.#pending.values()]) {
      this.#settle(request, why(request.name, this.#outcomeOf(request)));
    }
  }

  thaw(): void {
    this.#frozen = undefined;
  }

  close(): void {
    this.#closed = true;
    this.#send = undefined;
    for (const request of [...this.#pending.values()]) {
      this.#settle(request, closedError(this.#outcomeOf(request), request.name));
    }
  }

  /** What is known of one that ends without the broker's word: a gather has begun here, if nowhere else. */
  #outcomeOf(request: Request): CallOutcome {
    return request.place > 0 || (request.hasBegun && request.gathering) ? 'unknown' : 'not-sent';
  }

  #number(): number {
    this.#last = this.#last === 2 ** 32 - 1 ? 1 : this.#last + 1;
    return this.#last;
  }

  #encode(name: string, value: unknown, what: string): Encoded {
    if (this.#closed) {
      throw closedError('not-sent', name);
    }
    if (this.#frozen) {
      throw this.#frozen(name, 'not-sent');
    }
    const { maxPayload, maxPending, maxPendingBytes } = this.limits;
    const body = encodeFor(name, value, what);
    const size = sizeOf(body, maxPayload);
    if (size > maxPayload) {
      throw tooLarge(name, what === 'args' ? 'arguments' : what, size, maxPayload, 'not-sent');
    }
    if (this.#pending.size >= maxPending || (this.#held > 0 && this.#held + body.length > maxPendingBytes)) {
      throw new ProcessAgentError(
        'ERR_AGENT_TOO_MANY_PENDING',
        `${readable(name)}: ${this.#pending.size} gathers and publishings of this process, with ${this.#held} bytes, have not ` +
          'ended yet (processAgent.maxPending, maxPendingBytes).',
        { outcome: 'not-sent' },
      );
    }
    return body;
  }

  #request(made: Pick<Request, 'parcel' | 'body' | 'name' | 'begin' | 'gathering'>): Promise<void> {
    return new Promise((resolve, reject) => {
      const request: Request = { ...made, resolve, reject, place: 0, hasBegun: false, waiting: undefined };
      if (this.#pending.size === 0) {
        this.keepAlive(true);
      }
      this.#pending.set(request.parcel.request, request);
      this.#held += request.body.length;
      this.#send ? this.#dispatch(request, this.#send) : this.#wait(request);
    });
  }

  #dispatch(request: Request, send: SendParcel): void {
    clearTimeout(request.waiting);
    request.waiting = undefined;
    const size = sizeOf(request.body, this.#limit);
    if (size > this.#limit) {
      this.#settle(request, tooLarge(request.name, 'data', size, this.#limit, 'not-sent'));
      return;
    }
    try {
      send(request.parcel, request.body);
    } catch (error) {
      this.#settle(request, error);
      return;
    }
    request.place = ++this.#sent;
    request.gathering?.asked(error => this.#settle(request, error));
    if (!request.hasBegun) {
      request.hasBegun = true;
      request.begin?.();
    }
  }

  #wait(request: Request): void {
    const { readyTimeout } = this.limits;
    request.waiting ??= setTimeout(() => {
      const message = `${readable(request.name)}: waited ${readyTimeout} ms (processAgent.readyTimeout): ${this.whyWaiting()}`;
      this.#settle(
        request,
        new ProcessAgentError('ERR_AGENT_NO_PRIMARY', message, { outcome: this.#outcomeOf(request) }),
      );
    }, readyTimeout);
  }

  #settle(request: Request, error?: unknown): void {
    clearTimeout(request.waiting);
    request.gathering?.unasked();
    this.#pending.delete(request.parcel.request);
    this.#held -= request.body.length;
    if (this.#pending.size === 0) {
      this.keepAlive(false);
      this.#idle.tell();
    }
    error === undefined ? request.resolve() : request.reject(error);
  }
}
