/**
 * How what a primary keeps in memory gets to the next one: `transfer()` hooks give it up and take it over, each under a
 * name of its own. A hook that fails or hangs costs its own state, and nobody else's.
 */
import { Deadline } from './clock';
import { copyOf } from './copy';
import type { EngineLogger } from './engine/engine';
import { ProcessAgentError } from './errors';
import type { TransferHooks } from './interface';
import { checkName } from './options';

/** What the hooks of each name have handed over. */
type States = Map<string, unknown>;

interface Tenure {
  epoch: number;
  /** What nobody has taken yet: whoever registers later in this tenure gets it, else the next primary. */
  untaken: States;
}

interface Limits {
  /** ms that all `onPrimary` hooks together may delay the first answer. */
  takeOver: number;
  /** ms that all `onHandover` hooks together may take. */
  giveUp: number;
}

export class Transfers {
  readonly #logger: EngineLogger;
  readonly #limits: () => Limits;
  readonly #hooks = new Map<string, TransferHooks>();
  #tenure: Tenure | undefined;
  /** Hooks are told of a tenure one after the other. */
  #turn: Promise<void> = Promise.resolve();

  constructor(logger: EngineLogger, limits: () => Limits) {
    this.#logger = logger;
    this.#limits = limits;
  }

  get limits(): Limits {
    return this.#limits();
  }

  /** In a process that is primary already, resolves when `onPrimary` has run. */
  add(name: string, hooks: TransferHooks): Promise<void> {
    checkName('transfer', name);
    checkHooks(name, hooks);
    if (this.#hooks.has(name)) {
      throw new ProcessAgentError('ERR_AGENT_AMBIGUOUS', `transfer('${name}'): this name is taken already.`);
    }
    this.#hooks.set(name, hooks);
    return this.#tenure ? this.#tell(this.#tenure, [[name, hooks]]) : Promise.resolve();
  }

  takeOver(state: unknown, epoch: number): void | Promise<void> {
    this.#tenure = { epoch, untaken: statesOf(state) };
    if (this.#hooks.size > 0) {
      return this.#tell(this.#tenure, [...this.#hooks]);
    }
  }

  /** The next tenure is this process's as well: nobody is told anew. */
  goOn(epoch: number): void {
    if (this.#tenure) {
      this.#tenure.epoch = epoch;
    }
  }

  /** What all hooks hand over within `limit` ms, by name; `undefined` if that is nothing. */
  async giveUp(limit = this.limits.giveUp): Promise<unknown> {
    const untaken = this.#tenure?.untaken ?? new Map();
    this.#tenure = undefined;
    const given: States = new Map(untaken);
    await Promise.all(
      [...this.#hooks].map(async ([name, hooks]) => {
        if (hooks.onHandover) {
          const work = async () => copyOf(await hooks.onHandover?.(), name);
          const state = await this.#attempt(name, 'onHandover', work, limit);
          if (state !== undefined) {
            given.set(name, state);
          }
        }
      }),
    );
    return given.size > 0 ? Object.fromEntries(given) : undefined;
  }

  /** This process has stopped being primary, with or without having been asked to give up. */
  end(): void {
    this.#tenure = undefined;
  }

  #tell(tenure: Tenure, hooks: [string, TransferHooks][]): Promise<void> {
    const deadline = new Deadline(this.limits.takeOver);
    this.#turn = this.#turn.then(async () => {
      for (const [name, each] of hooks) {
        if (this.#tenure !== tenure) {
          return;
        }
        const state = tenure.untaken.get(name);
        tenure.untaken.delete(name);
        const work = async () => each.onPrimary?.(state, { epoch: tenure.epoch });
        await this.#attempt(name, 'onPrimary', work, deadline.left);
      }
    });
    return this.#turn;
  }

  /** The result of `work`; `undefined`, and a line in the log, if it fails or takes longer than `ms`. */
  async #attempt<T>(name: string, hook: keyof TransferHooks, work: () => Promise<T>, ms: number) {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>(resolve => {
      timer = setTimeout(() => {
        this.#logger.error(
          `[process-agent] transfer('${name}'): ${hook} has not finished in time; going on without it`,
        );
        resolve(undefined);
      }, ms);
    });
    const failed = (err: unknown) => {
      this.#logger.error(`[process-agent] transfer('${name}'): ${hook} has failed`, err);
      return undefined;
    };
    try {
      return await Promise.race([work().catch(failed), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

function checkHooks(name: string, hooks: TransferHooks): void {
  const isHook = (hook: unknown) => hook === undefined || typeof hook === 'function';
  const { onHandover, onPrimary } = hooks ?? {};
  if (!(isHook(onHandover) && isHook(onPrimary)) || (!onHandover && !onPrimary)) {
    throw new ProcessAgentError(
      'ERR_AGENT_CONFIG',
      `transfer('${name}'): the second argument must be an object with the functions onHandover and onPrimary.`,
    );
  }
}

function statesOf(state: unknown): States {
  return new Map(typeof state === 'object' && state !== null ? Object.entries(state) : []);
}
