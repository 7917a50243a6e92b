/** What is known of a call, or a question to all, while it is run for another member. */
import { letAllListen, sharedController } from '../abort';
import type { Deadline } from '../clock';
import type { ProcessAgentError } from '../errors';
import type { Member } from '../interface';
import { MAX_TIMER_MS } from '../options';
import { nobodyWaits } from '../own-call';
import type { Carrier, Invocation } from './engine';

export class Running implements Invocation {
  #controller: AbortController | undefined;
  #reason: ProcessAgentError | undefined;

  constructor(
    readonly member: Member,
    readonly epoch: number,
    readonly carrier: Carrier | undefined,
  ) {}

  /** Made when it is first asked for: most methods never do. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = sharedController();
      if (this.#reason) {
        this.#controller.abort(this.#reason);
      }
    }
    return this.#controller.signal;
  }

  abort(why: string): void {
    this.#reason ??= nobodyWaits(why);
    this.#controller?.abort(this.#reason);
  }
}

/** A question that is answered under a deadline. */
export class Asked implements Invocation {
  #signal: AbortSignal | undefined;

  constructor(
    readonly member: Member,
    readonly epoch: number,
    readonly carrier: Carrier | undefined,
    private readonly deadline: Deadline,
  ) {}

  get signal(): AbortSignal {
    if (!this.#signal) {
      this.#signal = AbortSignal.timeout(Math.min(this.deadline.left, MAX_TIMER_MS));
      letAllListen(this.#signal);
    }
    return this.#signal;
  }
}
