/** What a name that arrives from another process means here, and how it is run. */
import { runForAll } from './all';
import { ClassNames } from './class-names';
import type { DecoratedMethod } from './decorator/registry';
import { ProcessAgentError } from './errors';
import { Handlers } from './handlers';
import { WireNames } from './identity';
import { MadeNames } from './made-names';
import { type ApplicationContext, type BoundClass, instanceOf, listClasses } from './midway';
import { PREFIX, readable } from './prefix';

export class Targets {
  readonly handlers = new Handlers();
  readonly classes: ClassNames;
  /** What this package asks of all members itself, by whole names. */
  readonly own = new Map<string, (...args: unknown[]) => unknown>();
  readonly #container: ApplicationContext;
  readonly #singletons = new Map<string, object>();
  #names: WireNames | undefined;

  constructor(container: ApplicationContext) {
    this.#container = container;
    this.classes = new ClassNames(container);
  }

  /** Decorated methods by name, once the start has read them. */
  get names(): WireNames {
    return this.#names as WireNames;
  }

  /** Throws `ERR_AGENT_AMBIGUOUS` when two classes can't be told apart. */
  read(): void {
    const made = new MadeNames(listClasses(this.#container));
    this.#names = new WireNames(this.#container, made);
    this.classes.read(made);
  }

  run(name: string, args: unknown[]): unknown {
    switch (name[0]) {
      case PREFIX.handler:
        return this.handlers.run(name.slice(PREFIX.handler.length), args);
      case PREFIX.own:
        return this.#runOwn(name, args);
      case PREFIX.inAll: {
        const { bound, key } = this.classes.resolve(name);
        return this.#on(bound, instance => (instance as Record<string, (...args: unknown[]) => unknown>)[key](...args));
      }
      default: {
        const { bound, method } = this.names.resolve(name);
        const singleton = this.#singletons.get(bound.identifier);
        return singleton ? original(method, singleton, args) : this.#on(bound, each => original(method, each, args));
      }
    }
  }

  /** Whether `run` finds what `name` means; also where that is more than one thing. */
  knows(name: string): boolean {
    try {
      switch (name[0]) {
        case PREFIX.handler:
          return this.handlers.has(name.slice(PREFIX.handler.length));
        case PREFIX.own:
          return this.own.has(name);
        case PREFIX.inAll:
          this.classes.resolve(name);
          return true;
        default:
          this.names.resolve(name);
          return true;
      }
    } catch (error) {
      return !(error instanceof ProcessAgentError && error.code === 'ERR_AGENT_UNKNOWN_METHOD');
    }
  }

  #runOwn(name: string, args: unknown[]): unknown {
    const run = this.own.get(name);
    if (!run) {
      const message = `Pid ${process.pid} does not know '${readable(name)}': another version of this package runs there.`;
      throw new ProcessAgentError('ERR_AGENT_UNKNOWN_METHOD', message, { outcome: 'not-sent' });
    }
    return run(...args);
  }

  clear(): void {
    this.#singletons.clear();
  }

  #on(bound: BoundClass, run: (instance: object) => unknown): unknown {
    const singleton = this.#singletons.get(bound.identifier);
    return singleton ? run(singleton) : this.#onNew(bound, run);
  }

  async #onNew(bound: BoundClass, run: (instance: object) => unknown): Promise<unknown> {
    const instance = await instanceOf(this.#container, bound);
    if (bound.singleton) {
      this.#singletons.set(bound.identifier, instance);
    }
    return run(instance);
  }
}

/** Not the method that the object has: aspects ran in the caller. */
function original(method: DecoratedMethod, instance: object, args: unknown[]): unknown {
  return method.kind === 'all' ? runForAll(method, instance, args) : method.original.apply(instance, args as never[]);
}
