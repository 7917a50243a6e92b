/**
 * This process's part in the group's metrics: it pushes its own now and then, says them when somebody scrapes, and
 * scrapes. The broker adds up what all have said; nothing of others is ever read here but the text that it answers with.
 */
import type { Encoded } from '../codec';
import type { ResolvedConfig } from '../config';
import { type CallOutcome, ProcessAgentError } from '../errors';

import { type Collected, Collector } from '../metrics/collector';
import { OwnMetrics } from '../metrics/own';
import type { NativeAgent } from '../native';
import { MAX_TIMER_MS } from '../options';
import { closedError } from './call-errors';
import type { EngineHost, ScrapeOptions } from './engine';
import type { IncomingParcel, OutgoingParcel } from './notice';
import type { SendParcel } from './requests';

/** Before a snapshot's numbers, as `src/metrics/snapshot.rs` has it. */
const HEADER_BYTES = 32;
/** How long (ms) a process that is closed waits for a primary that it can tell its last numbers. */
const LAST_JOIN = 250;
/** Texts of problems are remembered up to so many, each told once. */
const MAX_TOLD = 1_000;

type ScrapeParcel = OutgoingParcel & { type: 'scrape' };

interface Scrape {
  readonly parcel: ScrapeParcel;
  resolve(text: string): void;
  reject(error: unknown): void;
  readonly timer: NodeJS.Timeout;
}

export class EngineMetrics {
  readonly own: OwnMetrics;
  readonly #collector: Collector;
  readonly #timer: NodeJS.Timeout;
  readonly #scrapes = new Map<number, Scrape>();
  readonly #told = new Set<string>();
  #last = 0;
  /** What was said last, to say nothing when nothing has changed. */
  #said: Float64Array | undefined;
  #send: SendParcel | undefined;
  #epoch = 0;
  #limit = 0;
  /** Asked by the broker of a tenure of which this process has not heard yet. */
  #asked: { epoch: number; scrape: number } | undefined;
  #hasJoined = false;
  #whenJoined: (() => void) | undefined;
  #frozen: ((what: string, outcome: CallOutcome) => ProcessAgentError) | undefined;
  #closed = false;

  constructor(
    private readonly config: ResolvedConfig,
    private readonly host: EngineHost,
    private readonly agent: Pick<NativeAgent, 'sayMetrics' | 'bytesIn' | 'bytesOut'>,
    pendingCalls: () => number,
    private readonly whyWaiting: () => string,
    /** A pending scrape keeps the process alive. */
    private readonly keepAlive: (pending: boolean) => void,
  ) {
    const { aggregators, pushInterval } = config.metrics;
    this.own = new OwnMetrics(pendingCalls, agent);
    const registries = () => [this.own, ...(host.registries?.() ?? [])];
    // Quantiles are collected where they are wanted by default: others can't ask for what costs each member time.
    this.#collector = new Collector(registries, { aggregators, quantiles: config.metrics.quantiles === 'max' });
    this.#timer = setInterval(() => this.#push(), pushInterval).unref();
  }

  /** A tenure has begun: its broker knows nothing of this process yet, and takes so many bytes at once. */
  join(epoch: number, send: SendParcel, maxPayload: number): void {
    this.#epoch = epoch;
    this.#send = send;
    this.#hasJoined = true;
    this.#whenJoined?.();
    this.#whenJoined = undefined;
    this.#limit = maxPayload;
    this.#collector.forget();
    this.#said = undefined;
    for (const scrape of [...this.#scrapes.values()]) {
      this.#ask(scrape, send);
    }
    this.#say(this.#asked?.epoch === epoch ? this.#asked.scrape : 0);
    this.#asked = undefined;
  }

  /** The tenure has ended. Scrapes that wait are made again in the next one. */
  leave(): void {
    this.#send = undefined;
    this.#epoch = 0;
    this.#frozen = undefined;
  }

  /** The broker of that tenure asks, in a wake-up of its own: the numbers of now are said before it ends. */
  answer(epoch: number, scrape: number, left: number): void {
    if (epoch !== this.#epoch) {
      this.#asked = { epoch, scrape };
    } else if (!this.#closed && left > 0) {
      this.#say(scrape);
      this.host.scraped?.();
    }
  }

  freeze(why: (what: string, outcome: CallOutcome) => ProcessAgentError): void {
    this.#frozen = why;
    this.#rejectAll(why('getMetrics', 'unknown'));
  }

  thaw(): void {
    this.#frozen = undefined;
  }

  /** Whether the parcel was about metrics. */
  heed(parcel: IncomingParcel, body: Encoded): boolean {
    switch (parcel.type) {
      case 'collect':
        this.#say(parcel.scrape);
        return true;
      case 'want-schema':
        this.#collector.forget();
        this.#say(parcel.scrape);
        return true;
      case 'scraped':
        this.#settle(parcel, body);
        return true;
      default:
        return false;
    }
  }

  /** The metrics of the whole group. */
  scrape(options: ScrapeOptions): Promise<string> {
    if (this.#closed) {
      return Promise.reject(closedError('not-sent', 'getMetrics'));
    }
    if (this.#frozen) {
      return Promise.reject(this.#frozen('getMetrics', 'not-sent'));
    }
    this.#last = this.#last === 2 ** 32 - 1 ? 1 : this.#last + 1;
    const request = this.#last;
    const parcel: ScrapeParcel = {
      type: 'scrape',
      request,
      timeoutMs: options.timeout,
      openMetrics: options.format === 'openmetrics',
      membersApart: options.memberLabel !== false,
      slots: options.memberLabel === 'slot',
      maxQuantiles: this.config.metrics.quantiles === 'max',
      tells: true,
    };
    return new Promise<string>((resolve, reject) => {
      const most = Math.min(this.config.readyTimeout + options.timeout, MAX_TIMER_MS);
      const timer = setTimeout(() => {
        const message = `getMetrics: waited ${most} ms: ${this.whyWaiting()}`;
        this.#take(request)?.reject(new ProcessAgentError('ERR_AGENT_NO_PRIMARY', message, { outcome: 'unknown' }));
      }, most);
      if (this.#scrapes.size === 0) {
        this.keepAlive(true);
      }
      const scrape = { parcel, resolve, reject, timer };
      this.#scrapes.set(request, scrape);
      if (this.#send) {
        // First: the others are asked while this process reads its own.
        this.#ask(scrape, this.#send);
        this.#say(0);
      }
    });
  }

  /** What has changed since the last time is said. */
  async flush(): Promise<void> {
    await this.#say();
  }

  /**
   * What has changed since the last time is said; then nothing is said any more. `undefined` when that was said at once: a
   * process may exit in the turn in which it closes.
   */
  close(): Promise<void> | undefined {
    if (this.#closed) {
      return undefined;
    }
    this.#closed = true;
    clearInterval(this.#timer);
    return this.#hasJoined && !this.#send ? this.joined().then(() => this.#sayLast()) : this.#sayLast();
  }

  #sayLast(): Promise<void> | undefined {
    const said = this.#say();
    const end = () => {
      this.#send = undefined;
      this.#rejectAll(closedError('unknown', 'getMetrics'));
    };
    if (said instanceof Promise) {
      return said.then(end);
    }
    end();
    return undefined;
  }

  /**
   * A process that has handed over is about to join the next primary, whom it can tell what it has counted since. Resolves
   * when it has, or after 250 ms.
   */
  async joined(): Promise<void> {
    if (this.#hasJoined && !this.#send) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, LAST_JOIN).unref();
        const before = this.#whenJoined;
        this.#whenJoined = () => {
          clearTimeout(timer);
          before?.();
          resolve();
        };
      });
    }
  }

  /** One that can't be sent fails alone: the tenure that begins is everybody's. */
  #ask({ parcel }: Scrape, send: SendParcel): void {
    try {
      send(parcel, '');
    } catch (error) {
      this.#take(parcel.request)?.reject(error);
    }
  }

  #push(): void {
    if (this.#send && !this.#closed) {
      this.#say();
    }
  }

  /**
   * Says the numbers of now: for a scrape, for none in particular (0), or only if they are news. Never fails. Whether they
   * were said, at once, unless some metric has to be waited for.
   */
  #say(scrape?: number): Promise<void> | boolean {
    try {
      const collected = this.#collector.collect();
      if (!(collected instanceof Promise)) {
        return this.#tell(collected, scrape);
      }
      return collected.then(later => void this.#tell(later, scrape)).catch(error => this.#fail(error));
    } catch (error) {
      this.#fail(error);
      return false;
    }
  }

  #tell({ schema, values, exemplars, problems }: Collected, scrape: number | undefined): boolean {
    this.#warn(problems);
    if (!this.#send || (scrape === undefined && !this.#isNews(schema, values))) {
      return false;
    }
    const examples = exemplars.length > 0 ? JSON.stringify(exemplars) : undefined;
    if (this.#isTooLarge(schema, values, examples)) {
      this.#warn([
        'its own metrics are larger than what the primary takes (processAgent.maxPayload): they are missing',
      ]);
      return false;
    }
    const isSaid = this.agent.sayMetrics(this.#epoch, scrape ?? 0, schema, values, examples);
    if (isSaid) {
      this.#said = values;
    } else {
      // The primary does not read. What it has not been told, it is told when it does.
      this.#collector.forget();
    }
    return isSaid;
  }

  #fail(error: unknown): void {
    this.host.logger.error('[process-agent] the metrics of this process could not be told', error);
  }

  #isNews(schema: string | undefined, values: Float64Array): boolean {
    return schema !== undefined || !this.#said || !isSame(this.#said, values);
  }

  #isTooLarge(schema: string | undefined, values: Float64Array, exemplars = ''): boolean {
    const snapshot = HEADER_BYTES + values.byteLength + Buffer.byteLength(exemplars);
    return Math.max(snapshot, schema === undefined ? 0 : Buffer.byteLength(schema)) > this.#limit;
  }

  #settle(parcel: IncomingParcel & { type: 'scraped' }, text: Encoded): void {
    const scrape = this.#take(parcel.request);
    if (scrape) {
      this.#warn(parcel.problems);
      if (parcel.failure === undefined) {
        scrape.resolve(String(text));
      } else {
        const message = `getMetrics: ${parcel.failure}.`;
        scrape.reject(new ProcessAgentError('ERR_AGENT_TOO_LARGE', message, { outcome: 'executed' }));
      }
    }
  }

  #take(request: number): Scrape | undefined {
    const scrape = this.#scrapes.get(request);
    if (scrape) {
      clearTimeout(scrape.timer);
      this.#scrapes.delete(request);
      if (this.#scrapes.size === 0) {
        this.keepAlive(false);
      }
    }
    return scrape;
  }

  #rejectAll(error: ProcessAgentError): void {
    for (const request of [...this.#scrapes.keys()]) {
      this.#take(request)?.reject(error);
    }
  }

  /** Each problem is told once: what differs in numbers only is the same one. */
  #warn(problems: readonly string[]): void {
    for (const problem of problems) {
      const key = problem.replace(/\d+ ms before/, '');
      if (!this.#told.has(key) && this.#told.size < MAX_TOLD) {
        this.#told.add(key);
        this.host.logger.warn(`[process-agent] metrics: ${problem}`);
      }
    }
  }
}

function isSame(a: Float64Array, b: Float64Array): boolean {
  return a.length === b.length && bytesOf(a).equals(bytesOf(b));
}

function bytesOf({ buffer, byteOffset, byteLength }: Float64Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
