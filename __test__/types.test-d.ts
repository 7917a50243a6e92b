/** Checked by tsc, never run: what the compiler says about the public names. */
import {
  type MemberOutcome,
  OnlyInPrimary,
  type ProcessAgentConfig,
  ProcessAgentError,
  type ProcessAgentService,
  RunInAll,
  RunInPrimary,
  registerError,
} from '../ts';

export class Service {
  @RunInPrimary()
  async promised(amount: number): Promise<number> {
    return amount;
  }

  @RunInPrimary({ name: 'streamed', timeout: 100 })
  async *streamed(): AsyncIterable<number> {
    yield 1;
  }

  // Accepted, and marked as deprecated.
  @RunInPrimary()
  plain(): number {
    return 1;
  }

  @OnlyInPrimary()
  tick(): void {}

  @OnlyInPrimary()
  async *ticks(): AsyncGenerator<number> {
    yield 1;
  }

  @OnlyInPrimary()
  async *iterated(): AsyncIterableIterator<number> {
    yield 1;
  }

  @OnlyInPrimary()
  async forEver(): Promise<never> {
    throw new Error();
  }

  @OnlyInPrimary()
  async cron(_job: string): Promise<void> {}

  @OnlyInPrimary()
  async swept(): Promise<number | undefined> {
    return 1;
  }

  @OnlyInPrimary()
  async processed(data: unknown): Promise<unknown> {
    return data;
  }

  @OnlyInPrimary()
  // biome-ignore lint/suspicious/noExplicitAny: what job queues declare.
  async execute(data: unknown): Promise<any> {
    return data;
  }

  @OnlyInPrimary()
  generic<T>(_value: T): void {}

  // @ts-expect-error: elsewhere it is a promise of undefined.
  @OnlyInPrimary()
  async sweep(): Promise<number> {
    return 1;
  }

  // @ts-expect-error: elsewhere it is undefined.
  @OnlyInPrimary()
  swung(): string {
    return 'ran';
  }

  // @ts-expect-error: a property is no method.
  @OnlyInPrimary()
  turns = 1;

  @RunInPrimary({ idempotent: true })
  async repeatable(): Promise<void> {}

  @RunInAll({ timeout: 100 })
  async inform(_what: string): Promise<void> {}

  // @ts-expect-error: there is no one result.
  @RunInAll()
  async counted(): Promise<number> {
    return 1;
  }

  // @ts-expect-error: nobody would read it.
  @RunInAll()
  async *all(): AsyncGenerator<void> {}

  // @ts-expect-error: it returns a promise in every process.
  @RunInAll()
  sync(): void {}

  // @ts-expect-error: no such option.
  @RunInAll({ name: 'inform' })
  async misinformed(): Promise<void> {}

  // @ts-expect-error: a signal belongs to one call.
  @RunInPrimary({ signal: new AbortController().signal })
  async signalled() {}

  // @ts-expect-error: a property is no method.
  @RunInPrimary()
  value = 1;

  // @ts-expect-error: no such option.
  @RunInPrimary({ retries: 1 })
  async misconfigured() {}
}

// @ts-expect-error: a class is no method.
@RunInPrimary()
export class Decorated {}

export async function uses(agent: ProcessAgentService): Promise<void> {
  const role: 'primary' | 'worker' | undefined = agent.role;
  const sum: number = await agent.call<number>('add', [1, 2], { timeout: 5 });
  agent.handle('add', (a: number, b: number) => a + b);
  agent
    .on('primary', ({ epoch }) => epoch.toFixed())
    .once('primary-changed', ({ pid }) => pid.toFixed())
    .off('member-left', member => member.version.trim());
  // @ts-expect-error: no such event.
  agent.on('leader', () => {});
  // @ts-expect-error: the role is decided by election.
  agent.role = 'primary';
  const [member] = await agent.members();
  const state: 'starting' | 'ready' | 'leaving' = member.state;
  void [role, sum, state];
}

class Store {
  size = 1;
  protected secret() {}
  count(of: string): number {
    return of.length;
  }
  async load(id: number, deep?: boolean): Promise<{ id: number; deep: boolean }> {
    return { id, deep: deep ?? false };
  }
  async *stream(): AsyncGenerator<number> {
    yield this.size;
  }
  async streamed(): Promise<AsyncIterable<number>> {
    return this.stream();
  }
  *generate(): Generator<number> {
    yield this.size;
  }
  list(): Iterable<number> {
    return [this.size];
  }
  // biome-ignore lint/suspicious/noExplicitAny: nothing is known of it.
  anything(): any {}
  fail(): never {
    throw new Error('never');
  }
}

/** Its own type is known only when what it asks is. */
export class AsksItself {
  constructor(private readonly agent: ProcessAgentService) {}

  counted() {
    return 1;
  }

  async countedByEach() {
    const outcomes = await this.agent.inAll(AsksItself).counted();
    return outcomes.map(({ member, ...outcome }) => ({ pid: member.pid, ...outcome }));
  }
}

abstract class Abstract {
  constructor(readonly store: Store) {}
  abstract run(): Promise<string>;
}

export async function asks(agent: ProcessAgentService): Promise<void> {
  const counts: MemberOutcome<number>[] = await agent.inAll(Store).count('a');
  const [loaded] = await agent.inAll(Store, { timeout: 5 }).load(1);
  if (loaded.status === 'fulfilled') {
    loaded.value.deep.valueOf();
    // @ts-expect-error: it has not failed.
    loaded.reason;
  }
  const ran: MemberOutcome<string>[] = await agent.inAll(Abstract).run();
  // @ts-expect-error: the wrong argument.
  await agent.inAll(Store).count(1);
  // @ts-expect-error: a property is no method.
  agent.inAll(Store).size;
  // @ts-expect-error: nobody else may call it.
  agent.inAll(Store).secret;
  // @ts-expect-error: nobody but the primary can answer with a stream.
  agent.inAll(Store).stream();
  // @ts-expect-error: the same of a promise of one.
  agent.inAll(Store).streamed();
  // @ts-expect-error: a generator can't be sent.
  agent.inAll(Store).generate();
  const lists: MemberOutcome<Iterable<number>>[] = await agent.inAll(Store).list();
  const others = [await agent.inAll(Store).anything(), await agent.inAll(Store).fail()];
  // @ts-expect-error: an object, and no class.
  agent.inAll(new Store());
  const outcomes = await agent.gather<string>('name', [1], { timeout: 5 });
  for (const outcome of outcomes) {
    outcome.member.pid.toFixed();
    outcome.status === 'fulfilled' ? outcome.value.trim() : outcome.reason;
  }
  // @ts-expect-error: one of many is no call to be aborted.
  await agent.gather('name', [], { signal: new AbortController().signal });
  const stop: () => void = agent.subscribe<{ id: number }>('topic', ({ id }, from) => id + from.pid);
  await agent.publish('topic', { id: 1 });
  await agent.transfer<number>('count', { onHandover: () => 1, onPrimary: count => void count?.toFixed() });
  // @ts-expect-error: what is handed over is what is taken over.
  await agent.transfer<number>('count', { onHandover: () => 'one' });
  await agent.call('name', [], { signal: new AbortController().signal, timeout: 5, idempotent: true });
  const signal: AbortSignal | undefined = agent.currentCall()?.signal ?? agent.tenure;
  void [counts, lists, others, ran, stop, signal];
}

registerError(class OrderError extends Error {});
registerError(
  class MadeByItself extends Error {
    private constructor() {
      super();
    }
    static make() {
      return new MadeByItself();
    }
  },
);
abstract class AbstractError extends Error {}
registerError(AbstractError, 'AbstractError');
// As zod has it: an interface that makes errors, without a class's prototype.
declare const MadeAsInterface: { new (issues: unknown[]): Error & { issues: unknown[] }; init(): void };
registerError(MadeAsInterface);
// @ts-expect-error: not an error class.
registerError(class Order {});
// @ts-expect-error: an object, and no class.
registerError(new Error());

export function outcomeOf(err: unknown): string | undefined {
  return err instanceof ProcessAgentError && err.code === 'ERR_AGENT_TIMEOUT' ? err.outcome : undefined;
}

// @ts-expect-error: not a code of the agent.
export const impossible = new ProcessAgentError('ERR_AGENT_NONSENSE', '');

export const config: Partial<ProcessAgentConfig> = { group: 'a', readyTimeout: 1, primary: { onFrozen: 'kill' } };
export const strict: Partial<ProcessAgentConfig> = { strictCopy: 'error' };
// @ts-expect-error: milliseconds are a number.
export const wrong: Partial<ProcessAgentConfig> = { readyTimeout: '1s' };
