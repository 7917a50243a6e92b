/** The events of an engine, and of the service that users listen to. */
import { EventEmitter } from 'node:events';
import type { EngineLogger } from './engine/engine';
import { guarded } from './guard';
import type { AgentEvents } from './interface';

/** A listener that fails is logged: it stops neither the others nor whoever emits. As many may listen as want to. */
export class AgentEmitter extends EventEmitter<AgentEvents> {
  readonly #logger: EngineLogger;

  constructor(logger: EngineLogger) {
    super();
    this.#logger = logger;
    this.setMaxListeners(0);
  }

  override emit<K>(
    event: keyof AgentEvents | K,
    ...args: K extends keyof AgentEvents ? AgentEvents[K] : never
  ): boolean {
    // What `once` has added removes itself when it is called.
    const listeners = this.rawListeners(event as keyof AgentEvents) as ((...args: unknown[]) => unknown)[];
    for (const listener of listeners) {
      guarded(
        () => listener.apply(this, args),
        error => this.#logger.error(`[process-agent] a listener of '${String(event)}' has failed`, error),
      );
    }
    return listeners.length > 0;
  }
}
