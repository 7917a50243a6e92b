/** Questions that other members ask of all: run here, and answered through the broker. */
import { Deadline } from '../clock';
import { decode, type Encoded } from '../codec';
import { ProcessAgentError } from '../errors';
import { readable } from '../prefix';
import { runtime } from '../runtime';
import { streamRefused } from './call-errors';
import type { EngineHost } from './engine';
import type { IncomingParcel } from './notice';
import { type EncodedOutcome, encodeThrown, encodeValue, RESULT } from './outcome';
import type { SendParcel } from './requests';
import { Asked } from './running';
import { isAsyncIterable } from './stream-writer';
import { Status } from './wire';

type Ask = IncomingParcel & { type: 'ask' };

/** For Rust, which reads no other encoding. */
function asJson(value: unknown): EncodedOutcome {
  return { status: Status.Value, value: JSON.stringify(value) ?? 'null' };
}

export class Answers {
  /** Questions for something that is not there before this process's own start-up has finished. */
  #early: (() => void)[] | undefined = [];
  #limit: number;

  constructor(
    private readonly host: EngineHost,
    private readonly maxPayload: number,
  ) {
    this.#limit = maxPayload;
  }

  /** What the primary of this tenure takes: answers go through it. */
  set maxPayloadOfPrimary(bytes: number) {
    this.#limit = Math.min(bytes, this.maxPayload);
  }

  /** This process's own start-up has finished: everything that it is going to have is there. */
  markReady(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const answer of early) {
      answer();
    }
  }

  /** Whoever asks waits for `left` ms from now. */
  async answer(
    ask: Ask,
    body: Encoded,
    epoch: number,
    send: SendParcel,
    left = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    const { gather, name } = ask;
    let outcome: EncodedOutcome;
    try {
      const value = await this.#run(ask, body, epoch, new Deadline(left));
      if (isAsyncIterable(value)) {
        throw streamRefused(name);
      }
      outcome = ask.json ? asJson(value) : encodeValue(name, value, this.#limit, RESULT);
    } catch (error) {
      outcome = encodeThrown(error, this.#limit);
    }
    send({ type: 'answer', gather, status: outcome.status }, outcome.value);
  }

  async #run(ask: Ask, body: Encoded, epoch: number, deadline: Deadline): Promise<unknown> {
    const args = this.#decode(ask.name, body);
    const early = this.#early;
    // Asked before it is run: what a method or handler throws says nothing of whether it is there.
    if (early && this.host.knows?.(ask.name) === false) {
      await new Promise<void>(resolve => early.push(resolve));
      if (deadline.hasPassed) {
        const message = `${readable(ask.name)}: time was up before pid ${process.pid} had finished its own start-up; it was not run.`;
        throw new ProcessAgentError('ERR_AGENT_TIMEOUT', message, { outcome: 'not-sent' });
      }
    }
    return this.host.invoke(ask.name, args, new Asked(ask.from, epoch, ask.carrier, deadline));
  }

  #decode(name: string, body: Encoded): unknown[] {
    let args: unknown;
    try {
      args = decode(body, true);
    } catch (cause) {
      const message = `${readable(name)}: pid ${process.pid} (${runtime.title}) can't read the arguments: ${cause}`;
      throw new ProcessAgentError('ERR_AGENT_NOT_SERIALIZABLE', message, { outcome: 'not-sent', cause });
    }
    if (!Array.isArray(args)) {
      throw new ProcessAgentError('ERR_AGENT_INTERNAL', `${readable(name)}: the arguments are no array.`);
    }
    return args;
  }
}
