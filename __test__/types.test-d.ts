/** Checked by tsc, never run: what the compiler says about the public names. */
import {
  OnlyInPrimary,
  type ProcessAgentConfig,
  ProcessAgentError,
  type ProcessAgentService,
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

registerError(class OrderError extends Error {});
// @ts-expect-error: not an error class.
registerError(class Order {});

export function outcomeOf(err: unknown): string | undefined {
  return err instanceof ProcessAgentError && err.code === 'ERR_AGENT_TIMEOUT' ? err.outcome : undefined;
}

// @ts-expect-error: not a code of the agent.
export const impossible = new ProcessAgentError('ERR_AGENT_NONSENSE', '');

export const config: Partial<ProcessAgentConfig> = { group: 'a', readyTimeout: 1 };
// @ts-expect-error: milliseconds are a number.
export const wrong: Partial<ProcessAgentConfig> = { readyTimeout: '1s' };
