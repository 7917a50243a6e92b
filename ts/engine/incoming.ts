/** Calls that other members make of this process while it is primary. */
import { type Encoded, encode, sizeOf } from '../codec';
import { encodeError, ProcessAgentError } from '../errors';
import type { EngineHost } from './engine';
import { Batch, readCalls, replyBytes, replyText, Status } from './wire';

/** The lane of one member, as its primary sees it. */
export interface IncomingLane {
  readonly id: number;
  /** The largest payload that the member takes. */
  readonly maxPayload: number;
  send(payload: Encoded): number;
}

export class IncomingCalls {
  /** Calls accepted and not answered yet. */
  #running = 0;
  #refusing = false;
  #idle: (() => void) | undefined;
  readonly #replies = new Map<IncomingLane, Encoded[]>();
  #flushing = false;

  constructor(
    private readonly host: EngineHost,
    private readonly maxPayload: number,
  ) {}

  /** Calls that came on `lane`. */
  receive(lane: IncomingLane, payload: string | Buffer): void {
    readCalls(
      payload,
      (id, name, args) => {
        if (this.#refusing) {
          this.#reply(lane, replyText(id, Status.NotAccepted, 'null'));
        } else {
          this.#run(lane, id, name, args);
        }
      },
      (id, name, cause) => {
        const message = `${name}: the primary (Node ${process.version}) can't read the arguments: ${cause}`;
        const error = new ProcessAgentError('ERR_AGENT_NOT_SERIALIZABLE', message, { outcome: 'not-sent', cause });
        this.#reply(lane, encodeThrown(lane, id, error));
      },
    );
  }

  /** Accepts nothing more; resolves when what was accepted is answered, or after `timeout` ms. */
  async refuse(timeout: number): Promise<void> {
    this.#refusing = true;
    if (this.#running > 0) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, timeout);
        this.#idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#flush();
  }

  /** Another tenure: calls are accepted again. */
  accept(): void {
    this.#refusing = false;
  }

  forget(lane: IncomingLane): void {
    this.#replies.delete(lane);
  }

  #run(lane: IncomingLane, id: number, name: string, args: unknown[]): void {
    this.#running++;
    let result: unknown;
    let isPromise: boolean;
    try {
      result = this.host.invoke(name, args, undefined);
      isPromise = typeof (result as PromiseLike<unknown> | null | undefined)?.then === 'function';
    } catch (error) {
      this.#finish(lane, encodeThrown(lane, id, error));
      return;
    }
    if (isPromise) {
      Promise.resolve(result).then(
        value => this.#finish(lane, this.#encodeValue(lane, id, name, value)),
        error => this.#finish(lane, encodeThrown(lane, id, error)),
      );
    } else {
      this.#finish(lane, this.#encodeValue(lane, id, name, result));
    }
  }

  #finish(lane: IncomingLane, reply: Encoded): void {
    this.#reply(lane, reply);
    if (--this.#running === 0) {
      this.#idle?.();
      this.#idle = undefined;
    }
  }

  /** Replies of one turn go together, one batch a lane. */
  #reply(lane: IncomingLane, reply: Encoded): void {
    const waiting = this.#replies.get(lane);
    if (waiting) {
      waiting.push(reply);
    } else {
      this.#replies.set(lane, [reply]);
    }
    if (!this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => {
        this.#flushing = false;
        this.#flush();
      });
    }
  }

  #flush(): void {
    for (const [lane, replies] of this.#replies) {
      const batch = new Batch<void>(
        payload => lane.send(payload),
        () => {},
      );
      for (const reply of replies) {
        batch.add(undefined, reply);
      }
      batch.flush();
    }
    this.#replies.clear();
  }

  #encodeValue(lane: IncomingLane, id: number, name: string, value: unknown): Encoded {
    if (value === undefined) {
      return replyText(id, Status.Undefined, 'null');
    }
    try {
      const encoded = encode(value, 'result');
      const limit = Math.min(lane.maxPayload, this.maxPayload);
      const size = sizeOf(encoded, limit);
      if (size > limit) {
        throw new ProcessAgentError(
          'ERR_AGENT_TOO_LARGE',
          `${name}: the result takes ${size} bytes, over the limit of ${limit} (processAgent.maxPayload).`,
        );
      }
      return reply(id, Status.Value, encoded);
    } catch (error) {
      if (error instanceof ProcessAgentError) {
        // It ran: only its result stays here.
        const { code, message } = error;
        return encodeThrown(lane, id, new ProcessAgentError(code, `${name}: ${message}`, { outcome: 'executed' }));
      }
      // A toJSON() of the user's has thrown, for one.
      return encodeThrown(lane, id, error);
    }
  }
}

function reply(id: number, status: number, value: Encoded): Encoded {
  return typeof value === 'string' ? replyText(id, status, value) : replyBytes(id, status, value);
}

/** Never throws: what can't travel of an error is left out. */
function encodeThrown(lane: IncomingLane, id: number, error: unknown): Encoded {
  try {
    const encoded = encode(encodeError(error), 'error');
    if (sizeOf(encoded, lane.maxPayload) <= lane.maxPayload) {
      return reply(id, Status.Thrown, encoded);
    }
  } catch {
    // Falls through to the least that can be said.
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(typeof error);
  const least = new ProcessAgentError(
    'ERR_AGENT_NOT_SERIALIZABLE',
    `The method threw an error that can't be sent to another process: ${message.slice(0, 1000)}`,
    { outcome: 'executed' },
  );
  return reply(id, Status.Thrown, encode(encodeError(least), 'error'));
}
