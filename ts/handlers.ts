/** What `handle()` has registered in this process. */
import { ProcessAgentError } from './errors';
import { checkFunction, checkName } from './options';

export type Handler = (...args: never[]) => unknown;

export class Handlers {
  readonly #byName = new Map<string, Handler>();

  add(name: string, handler: Handler): void {
    checkName('handle', name);
    checkFunction('handle', name, handler);
    if (this.#byName.has(name)) {
      throw new ProcessAgentError('ERR_AGENT_AMBIGUOUS', `handle('${name}'): there is a handler of this name already.`);
    }
    this.#byName.set(name, handler);
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  run(name: string, args: unknown[]): unknown {
    const handler = this.#byName.get(name);
    if (!handler) {
      throw new ProcessAgentError(
        'ERR_AGENT_UNKNOWN_METHOD',
        `Pid ${process.pid} has no handler '${name}': handle() was not called there.`,
        { outcome: 'not-sent' },
      );
    }
    return handler(...(args as never[]));
  }
}
