import { ApplicationContext, Configuration, Destroy, Init } from '@midwayjs/core';
import { beforeEggCloses, type ApplicationContext as Container, onStartFailure } from './midway';
import { membershipOf, state } from './state';

/**
 * The component. It joins the group in `@Init`, which is after the configuration was loaded and before any `onReady`,
 * so that every role is known when the application's own code starts.
 */
@Configuration({
  namespace: 'process-agent',
  importConfigs: [
    {
      default: {
        // Lazy: an application that never has to be told anything gets no log file.
        midwayLogger: { clients: { processAgentLogger: { fileLogName: 'midway-process-agent.log', lazyLoad: true } } },
      },
    },
  ],
})
export class ProcessAgentConfiguration {
  /** @internal */
  @ApplicationContext()
  container!: Container;

  @Init()
  async join(): Promise<void> {
    await membershipOf(this.container).start();
  }

  async onReady(_container: unknown, app?: unknown): Promise<void> {
    beforeEggCloses(app, async () => {
      await this.onStop();
      await this.leave();
    });
  }

  async onServerReady(): Promise<void> {
    membershipOf(this.container).markReady();
  }

  async onStop(): Promise<void> {
    await membershipOf(this.container).handOver();
  }

  @Destroy()
  async leave(): Promise<void> {
    await membershipOf(this.container).close();
  }
}

onStartFailure(async container => state.byContainer.get(container)?.close());
