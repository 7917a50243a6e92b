/** Who listens to what is published. A listener can disturb neither another one nor whoever has published. */
import type { EngineLogger } from './engine/engine';
import { guarded } from './guard';
import type { Member } from './interface';
import { checkFunction, checkName } from './options';

export type TopicListener = (data: never, from: Member) => unknown;

export class Topics {
  readonly #logger: EngineLogger;
  // Objects of our own, because one function may be subscribed twice.
  readonly #subscriptions = new Map<string, Set<{ listener: TopicListener }>>();

  constructor(logger: EngineLogger) {
    this.#logger = logger;
  }

  /** Returns what ends the subscription. */
  subscribe(topic: string, listener: TopicListener): () => void {
    checkName('subscribe', topic);
    checkFunction('subscribe', topic, listener);
    const subscription = { listener };
    const subscriptions = this.#subscriptions.get(topic) ?? new Set();
    this.#subscriptions.set(topic, subscriptions.add(subscription));
    return () => {
      subscriptions.delete(subscription);
      if (subscriptions.size === 0 && this.#subscriptions.get(topic) === subscriptions) {
        this.#subscriptions.delete(topic);
      }
    };
  }

  /** `data` gives a copy at each call: what a listener does to its own is nobody else's business. */
  deliver(topic: string, data: () => unknown, from: Member): void {
    for (const { listener } of [...(this.#subscriptions.get(topic) ?? [])]) {
      guarded(
        () => listener(data() as never, { ...from }),
        err => this.#complain(topic, err),
      );
    }
  }

  clear(): void {
    this.#subscriptions.clear();
  }

  #complain(topic: string, err: unknown): void {
    this.#logger.error(`[process-agent] a listener of the topic '${topic}' has failed`, err);
  }
}
