/** Calls that a process makes of itself, where others would make them of another member. */
import { sharedController, whenAborted } from './abort';
import { aborted, timedOut } from './engine/call-errors';
import type { Carrier, Invocation } from './engine/engine';
import { type CallOutcome, ProcessAgentError } from './errors';
import type { CallOptions, Member } from './interface';

/** The calls that end with a tenure: one listener for all of them, because they may be many. */
const underWay = new WeakMap<AbortSignal, Set<OwnInvocation>>();

/** What `currentCall()` gives in such a call. */
export class OwnInvocation implements Invocation {
  readonly carrier: Carrier | undefined = undefined;
  #controller: AbortController | undefined;
  #aborted: { reason: unknown } | undefined;
  #ended = false;

  constructor(
    private readonly self: () => Member,
    readonly epoch: number,
    private readonly tenure: AbortSignal | undefined,
  ) {}

  get member(): Member {
    return this.self();
  }

  /** Made when it is first asked for: most calls never do. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = sharedController();
      if (this.tenure?.aborted) {
        this.abort(this.tenure.reason);
      } else if (this.tenure && !this.#ended) {
        callsOf(this.tenure).add(this);
      }
      if (this.#aborted) {
        this.#controller.abort(this.#aborted.reason);
      }
    }
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    this.#aborted ??= { reason };
    this.#controller?.abort(reason);
    this.end();
  }

  /** It has finished: what the tenure does is nothing to it any more. */
  end(): void {
    this.#ended = true;
    if (this.tenure) {
      underWay.get(this.tenure)?.delete(this);
    }
  }
}

/** A call that has waited for a primary, which this process is now. */
export class WaitedCall extends OwnInvocation {
  readonly isOwnCall = true;

  constructor(
    self: () => Member,
    epoch: number,
    tenure: AbortSignal | undefined,
    override readonly carrier: Carrier | undefined,
  ) {
    super(self, epoch, tenure);
  }

  /** Whoever has made it waits no longer. */
  leave(): void {
    this.abort(nobodyWaits('the caller waits no longer'));
  }
}

export function nobodyWaits(why: string): ProcessAgentError {
  return new ProcessAgentError('ERR_AGENT_ABORTED', `Nobody waits for this call any more: ${why}.`);
}

function callsOf(tenure: AbortSignal): Set<OwnInvocation> {
  let calls = underWay.get(tenure);
  if (!calls) {
    const made = new Set<OwnInvocation>();
    calls = made;
    underWay.set(tenure, made);
    tenure.addEventListener('abort', () => {
      for (const call of [...made]) {
        call.abort(tenure.reason);
      }
    });
  }
  return calls;
}

/**
 * The outcome of `work`, unless a timeout or the caller's signal ends the wait: then the call has `outcome`, and
 * `abandon` is told why.
 */
export function bounded<T>(
  name: string,
  { timeout, signal }: Pick<CallOptions, 'timeout' | 'signal'>,
  outcome: CallOutcome,
  work: () => T | PromiseLike<T>,
  abandon: (reason: unknown) => void = () => {},
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const give = (error: ProcessAgentError) => {
      free();
      abandon(error);
      reject(error);
    };
    const onAbort = () => give(aborted(name, signal as AbortSignal, outcome));
    const timer = timeout === undefined ? undefined : setTimeout(() => give(timedOut(name, timeout, outcome)), timeout);
    const free = () => {
      clearTimeout(timer);
      unlisten?.();
    };
    const unlisten = signal && whenAborted(signal, onAbort);
    new Promise<T>(begin => begin(work())).then(
      value => {
        free();
        resolve(value);
      },
      error => {
        free();
        reject(error);
      },
    );
  });
}

/** Runs this process's part of a question to all, which is told when nobody waits for it any more. */
export async function withSignal(call: OwnInvocation, timeout: number, run: () => unknown): Promise<unknown> {
  const timer = setTimeout(() => call.abort(new Error(`nobody waits after ${timeout} ms`)), timeout);
  try {
    return await run();
  } finally {
    clearTimeout(timer);
    call.end();
  }
}
