/**
 * This process's part in the group's metrics: it pushes its own now and then, says them when somebody scrapes, and
 * scrapes. The broker adds up what all have said; nothing of others is ever read here but the text that it answers with.
 */
import type { Encoded } from '../codec';
import type { ResolvedConfig } from '../config';
import { type CallOutcome, ProcessAgentError } from '../errors';

import { type Collected, Collector, HEADER_BYTES } from '../metrics/collector';
import { OwnMetrics } from '../metrics/own';
import { closedError } from './call-errors';
import type { EngineHost, ScrapeOptions } from './engine';
import type { IncomingParcel, OutgoingParcel } from './notice';
import type { SendParcel } from './requests';

/** 'PAS1', as `src/metrics/snapshot.rs` has it. */
const MAGIC = 0x50415331;
/** How long (ms) a process that is closed waits for a primary that it can tell its last numbers. */
const LAST_JOIN = 250;
/** Texts of problems are remembered up to so many, each told once. */
const MAX_TOLD = 1_000;

interface Scrape {
  readonly parcel: OutgoingParcel;
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
  #sequence = 0;
  /** What was said last, to say nothing when nothing has changed. */
  #said: Float64Array | undefined;
  #send: SendParcel | undefined;
  #limit = 0;
  #hasJoined = false;
  #whenJoined: (() => void) | undefined;
  #frozen: ((what: string, outcome: CallOutcome) => ProcessAgentError) | undefined;
  #closed = false;

  constructor(
    private readonly config: ResolvedConfig,
    private readonly host: EngineHost,
    pendingCalls: () => number,
    private readonly whyWaiting: () => string,
    /** A pending scrape keeps the process alive. */
    private readonly keepAlive: (pending: boolean) => void,
  ) {
    const { aggregators, pushInterval } = config.metrics;
    this.own = new OwnMetrics(pendingCalls);
    const registries = () => [this.own, ...(host.registries?.() ?? [])];
    // Quantiles are collected where they are wanted by default: others can't ask for what costs each member time.
    this.#collector = new Collector(registries, { aggregators, quantiles: config.metrics.quantiles === 'max' });
    this.#timer = setInterval(() => this.#push(), pushInterval).unref();
  }

  /** A tenure has begun: its broker knows nothing of this process yet, and takes so many bytes at once. */
  join(send: SendParcel, maxPayload: number): void {
    this.#send = send;
    this.#hasJoined = true;
    this.#whenJoined?.();
    this.#limit = maxPayload;
    this.#collector.forget();
    this.#said = undefined;
    this.#push();
    for (const { parcel } of this.#scrapes.values()) {
      send(parcel, '');
    }
  }

  /** The tenure has ended. Scrapes that wait are made again in the next one. */
  leave(): void {
    this.#send = undefined;
    this.#frozen = undefined;
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
      return Promise.reject(closedError('not-sent'));
    }
    if (this.#frozen) {
      return Promise.reject(this.#frozen('getMetrics', 'not-sent'));
    }
    this.#last = this.#last === 2 ** 32 - 1 ? 1 : this.#last + 1;
    const request = this.#last;
    const parcel: OutgoingParcel = {
      type: 'scrape',
      request,
      timeoutMs: options.timeout,
      openMetrics: options.format === 'openmetrics',
      membersApart: options.memberLabel,
      maxQuantiles: this.config.metrics.quantiles === 'max',
    };
    return new Promise<string>((resolve, reject) => {
      const most = this.config.readyTimeout + options.timeout;
      const timer = setTimeout(() => {
        const message = `getMetrics: waited ${most} ms: ${this.whyWaiting()}`;
        this.#take(request)?.reject(new ProcessAgentError('ERR_AGENT_NO_PRIMARY', message, { outcome: 'unknown' }));
      }, most);
      if (this.#scrapes.size === 0) {
        this.keepAlive(true);
      }
      this.#scrapes.set(request, { parcel, resolve, reject, timer });
      this.#send?.(parcel, '');
    });
  }

  /** What has changed since the last time is said. */
  async flush(): Promise<void> {
    await this.#say();
  }

  /** What has changed since the last time is said; then nothing is said any more. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      clearInterval(this.#timer);
      await this.#joined();
      await this.#say();
      this.#send = undefined;
      this.#rejectAll(closedError('unknown'));
    }
  }

  /** A process that has handed over is about to join the next primary, whom it can tell what it has counted since. */
  async #joined(): Promise<void> {
    if (this.#hasJoined && !this.#send) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, LAST_JOIN);
        this.#whenJoined = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #push(): void {
    if (this.#send && !this.#closed) {
      this.#say();
    }
  }

  /** Never fails. At once, unless some metric has to be waited for. */
  #say(scrape?: number): Promise<void> | undefined {
    try {
      const collected = this.#collector.collect();
      if (collected instanceof Promise) {
        return collected.then(
          later => this.#tell(later, scrape),
          error => this.#fail(error),
        );
      }
      this.#tell(collected, scrape);
    } catch (error) {
      this.#fail(error);
    }
    return undefined;
  }

  #tell(collected: Collected, scrape: number | undefined): void {
    this.#warn(collected.problems);
    if (!this.#send || (scrape === undefined && !this.#isNews(collected))) {
      return;
    }
    this.#said = collected.values;
    const { schema } = collected;
    const snapshot = this.#wire(collected);
    if (Math.max(snapshot.length, schema === undefined ? 0 : Buffer.byteLength(schema)) > this.#limit) {
      this.#warn([
        'its own metrics are larger than what the primary takes (processAgent.maxPayload): they are missing',
      ]);
      return;
    }
    if (schema !== undefined) {
      this.#send({ type: 'schema' }, schema);
    }
    this.#send({ type: 'snapshot', scrape }, snapshot);
  }

  #fail(error: unknown): void {
    this.host.logger.error('[process-agent] the metrics of this process could not be told', error);
  }

  #isNews({ schema, values }: Collected): boolean {
    return schema !== undefined || !this.#said || !isSame(this.#said, values);
  }

  #wire({ values, exemplars }: Collected): Buffer {
    const head = new DataView(values.buffer, 0, HEADER_BYTES);
    head.setUint32(0, MAGIC);
    head.setUint32(4, values.length, true);
    // 8: the schema's id, which the broker knows.
    head.setFloat64(16, ++this.#sequence, true);
    head.setFloat64(24, Date.now(), true);
    const bytes = Buffer.from(values.buffer);
    return exemplars.length > 0 ? Buffer.concat([bytes, Buffer.from(JSON.stringify(exemplars))]) : bytes;
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
