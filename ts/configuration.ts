import { ApplicationContext, Configuration, Destroy, Init } from '@midwayjs/core';
import { goAsync } from './decorator/direct';
import { tellMistake } from './decorator/mistake';
import { NAMESPACE } from './health/namespace';
import {
  beforeEggCloses,
  type ApplicationContext as Container,
  onFrameworkMissing,
  onStartFailure,
  registerHealthCheck,
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
      await this.onStop(container);
      await membershipOf(container).close();
    });
  }

  async onServerReady(container: Container): Promise<void> {
    membershipOf(container).markReady();
  }

  /** Speaks for the other members: what this process says of itself, Midway asks its other configurations. */
  async onHealthCheck(container: Container): Promise<{ status: boolean; reason?: string }> {
    return membershipOf(container).othersHealth();
  }

  async onStop(container: Container): Promise<void> {
    await membershipOf(container).handOver();
  }

  @Destroy()
  async leave(): Promise<void> {
    await membershipOf(this.container).close();
  }
}

onStartFailure(async container => state.byContainer.get(container)?.close());
onFrameworkMissing(tellMistake);
