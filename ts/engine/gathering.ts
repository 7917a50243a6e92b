/** One gather of this process: its own answer, and those of the others as they come. */
import { decode, type Encoded } from '../codec';
import { type CallOutcome, decodeError, type PlainError, ProcessAgentError } from '../errors';
import type { Member, MemberOutcome } from '../interface';
import { readable } from '../prefix';
import { runtime } from '../runtime';
import type { EngineGatherOptions } from './engine';
import type { Missing } from './notice';
import { Status } from './wire';

/** How long (ms) the broker, which keeps the time, may say nothing after time is up. */
const GRACE = 500;
/** A timer that is so many ms late was kept waiting by this event loop. */
const BUSY = 100;

type Settled = { status: 'fulfilled'; value: unknown } | { status: 'rejected'; reason: unknown };

export class Gathering {
  readonly #outcomes: MemberOutcome[] = [];
  #own: Promise<Settled> | undefined;
  #asker: Member | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** What ends the gather if the broker does not, and when. */
  #watch: NodeJS.Timeout | undefined;
  #giveUp: ((error: ProcessAgentError) => void) | undefined;

  constructor(
    private readonly name: string,
    private readonly options: EngineGatherOptions,
  ) {}

  /**
   * The broker is asked, or is asked again in another tenure. One whose process is frozen does not say when time is up:
   * then `giveUp` gets what the gather ends with.
   */
  asked(giveUp: (error: ProcessAgentError) => void): void {
    this.#watch = setTimeout(() => {
      // Not yet: its word may lie here already, behind what has kept this event loop busy.
      this.#giveUp = giveUp;
      this.#beginGrace();
    }, this.options.timeout);
  }

  #beginGrace(): void {
    clearTimeout(this.#watch);
    const began = performance.now();
    this.#watch = setTimeout(() => {
      // One that comes late has measured how long this event loop was busy: it begins again.
      performance.now() - began > GRACE + BUSY ? this.#beginGrace() : this.#giveUp?.(this.#unheard());
    }, GRACE);
  }

  /** Nothing is expected of the broker any more. */
  unasked(): void {
    clearTimeout(this.#watch);
    this.#giveUp = undefined;
  }

  /** The others are asked now, and so is this process. */
  begin(): void {
    const { timeout, own } = this.options;
    const late = new Promise<Settled>(resolve => {
      this.#timer = setTimeout(
        () => resolve({ status: 'rejected', reason: this.#error('ERR_AGENT_TIMEOUT', 'unknown', this.#late()) }),
        timeout,
      );
    });
    const answer = (async (): Promise<Settled> => {
      try {
        return { status: 'fulfilled', value: await own() };
      } catch (reason) {
        return { status: 'rejected', reason };
      }
    })();
    this.#own = Promise.race([answer, late]);
  }

  /** The answer of another member. */
  answer(member: Member, status: number, body: Encoded): void {
    if (this.#giveUp) {
      // Answers may be large: the broker is at it.
      this.#beginGrace();
    }
    const outcome = { member, ...this.#read(member, status, body) };
    this.#outcomes.push(outcome);
    this.options.onAnswer?.(outcome);
  }

  /** No further answer comes. */
  gathered(asker: Member, missing: Missing[]): void {
    this.#asker = asker;
    for (const { member, reason } of missing) {
      this.#outcomes.push({ member, status: 'rejected', reason: this.#missing(member, reason) });
    }
  }

  /** All outcomes, in the order of the members' ids. */
  async outcomes(): Promise<MemberOutcome[]> {
    const own = await this.#own;
    if (this.#asker && own) {
      this.#outcomes.push({ member: this.#asker, ...own });
    }
    return this.#outcomes.sort((a, b) => a.member.id - b.member.id);
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  #read(member: Member, status: number, body: Encoded): Settled {
    try {
      switch (status) {
        case Status.Value:
          return { status: 'fulfilled', value: decode(body, true) };
        case Status.Undefined:
          return { status: 'fulfilled', value: undefined };
        case Status.Thrown:
          return { status: 'rejected', reason: decodeError(decode(body) as PlainError, new Error().stack) };
        default:
          throw new Error(`status ${status}`);
      }
    } catch (cause) {
      const message = `this process (${runtime.title}) can't read the answer of pid ${member.pid}: ${cause}`;
      return { status: 'rejected', reason: this.#error('ERR_AGENT_NOT_SERIALIZABLE', 'executed', message, cause) };
    }
  }

  #missing(member: Member, reason: Missing['reason']): ProcessAgentError {
    const who = `pid ${member.pid}`;
    switch (reason) {
      case 'timeout': {
        const why = member.state === 'starting' ? ', whose own start-up has not finished' : '';
        return this.#error('ERR_AGENT_TIMEOUT', 'unknown', `${who}${why}: ${this.#late()}`);
      }
      case 'lost':
        return this.#error(
          'ERR_AGENT_MEMBER_LOST',
          'unknown',
          `${who} died, or lost its connection, before it answered.`,
        );
      case 'too-large':
        return this.#error('ERR_AGENT_TOO_LARGE', 'not-sent', `the arguments are larger than ${who} takes.`);
      case 'answer-too-large':
        return this.#error(
          'ERR_AGENT_TOO_LARGE',
          'executed',
          `the answer of ${who} is larger than this process takes.`,
        );
    }
  }

  #unheard(): ProcessAgentError {
    const message =
      `the primary has not said within ${GRACE} ms of the timeout of ${this.options.timeout} ms who has answered; ` +
      'any number of members may have run it.';
    return this.#error('ERR_AGENT_TIMEOUT', 'unknown', message);
  }

  #late(): string {
    return `no answer within the timeout of ${this.options.timeout} ms.`;
  }

  #error(code: ProcessAgentError['code'], outcome: CallOutcome, message: string, cause?: unknown): ProcessAgentError {
    return new ProcessAgentError(code, `${readable(this.name)}: ${message}`, { outcome, cause });
  }
}
