import { ApplicationContext, Configuration, Destroy, Init } from '@midwayjs/core';
import { goAsync } from './decorator/direct';
import { tellMistake } from './decorator/mistake';
import { NAMESPACE } from './health/namespace';
import type { Membership } from './membership';
import {
  beforeEggCloses,
  type ApplicationContext as Container,
  onFrameworkMissing,
  onStartFailure,
  registerHealthCheck,
  stopsComponents,
} from './midway';
import { membershipOf, state } from './state';

/**
 * The component. It joins the group in `@Init`, which is after the configuration was loaded and before any `onReady`,
 * so that every role is known when the application's own code starts.
 */
@Configuration({
  namespace: NAMESPACE,
  /** Midway asks for it when it loads the component for an application, before it looks at any aspect. */
  get importConfigs() {
    goAsync();
    return [
      {
        default: {
          // Lazy: an application that never has to be told anything gets no log file.
          midwayLogger: {
            clients: { processAgentLogger: { fileLogName: 'midway-process-agent.log', lazyLoad: true } },
          },
        },
      },
    ];
  },
})
export class ProcessAgentConfiguration {
  /** @internal */
  @ApplicationContext()
  container!: Container;

  @Init()
  async join(): Promise<void> {
    await membershipOf(this.container).start();
  }

  // Where several applications live in one process, Midway calls these on the object of the last one, whichever
  // application it is about: its container is what they are given.

  async onReady(container: Container, app?: unknown): Promise<void> {
    registerHealthCheck(container, NAMESPACE, () => this.onHealthCheck(container));
    beforeEggCloses(app, async () => {
      const membership = membershipOf(container);
      await membership.handOver();
      await membership.drain();
      leave(membership);
    });
  }

  async onServerReady(container: Container): Promise<void> {
    membershipOf(container).markReady();
  }

  /** Speaks for the other members: what this process says of itself, Midway asks its other configurations. */
  async onHealthCheck(container: Container): Promise<{ status: boolean; reason?: string }> {
    return membershipOf(container).othersHealth();
  }

  /** Requests are still served: this is the place to wait. */
  async onStop(container: Container): Promise<void> {
    const membership = membershipOf(container);
    await membership.handOver();
    if (stopsComponents(container, NAMESPACE)) {
      // Requests that come later find these components stopped: they must not come for longer than without this one.
      await membership.drain();
      membership.hasDrained = true;
    }
  }

  /** Not awaited: Midway takes its container apart around this, and answers 500 to requests that arrive meanwhile. */
  @Destroy()
  leave(): void {
    leave(membershipOf(this.container));
  }
}

function leave(membership: Membership): void {
  membership.close().catch(error => {
    membership.logger.error('[process-agent] this process could not leave its group in order', error);
  });
}

onStartFailure(async container => state.byContainer.get(container)?.close({ isAwaited: true }));
onFrameworkMissing(tellMistake);
