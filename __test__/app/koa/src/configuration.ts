import * as core from '@midwayjs/core';
import { Configuration, type IMidwayContainer } from '@midwayjs/core';
import * as koa from '@midwayjs/koa';
import * as processAgent from '@midwayjs/process-agent';
import { block, onHealthCheck } from './health';
import { beside, defineMetrics } from './prometheus';
import { EverywhereService } from './service/everywhere';
import { LedgerService } from './service/ledger';
import { TenureService } from './service/tenure';
import { WatchedService } from './service/watched';
import { WorkloadService } from './service/workload';

// Midway 4 wants to be told how to find classes; Midway 3 looks by itself.
const { CommonJSFileDetector } = core as unknown as { CommonJSFileDetector?: new () => unknown };
const detector = CommonJSFileDetector ? { detector: new CommonJSFileDetector() as never } : {};

@Configuration({
  ...detector,
  imports: [koa, ...beside(processAgent)] as never[],
  importConfigs: [
    {
      default: {
        keys: 'not-secret',
        koa: { port: Number(process.env.PORT), hostname: '127.0.0.1' },
        // Bounds that a test can wait for.
        processAgent: JSON.parse(process.env.PROCESS_AGENT_CONFIG ?? '{}'),
        ...(process.env.LOGGER_CONFIG && { midwayLogger: JSON.parse(process.env.LOGGER_CONFIG) }),
      },
    },
  ],
})
export class MainConfiguration {
  /** Before any component's own: whoever answers says who it is. */
  async onConfigLoad(_: IMidwayContainer, app: koa.Application) {
    app.use(async (ctx, next) => {
      ctx.set('x-pid', String(process.pid));
      await next();
    });
  }

  async onReady(container: IMidwayContainer, app: koa.Application) {
    // A start that keeps the event loop for long, as loading a large application does.
    block(Number(process.env.START_BLOCK ?? 0));
    app.useMiddleware(onlyWhoIsMeant);
    await defineMetrics(container);
    // In every process, whether it is asked for anything or not: these answer questions and listen to news.
    for (const service of [EverywhereService, LedgerService, TenureService, WatchedService, WorkloadService]) {
      await container.getAsync(service as never);
    }
  }

  async onHealthCheck() {
    return onHealthCheck();
  }

  async onStop(container: IMidwayContainer) {
    await (await container.getAsync(WorkloadService)).drain();
  }
}

/** A request names the one process that shall take it, where the test needs that one. */
async function onlyWhoIsMeant(ctx: koa.Context, next: () => Promise<unknown>) {
  const { only } = ctx.query;
  if (only !== undefined && Number(only) !== process.pid) {
    ctx.status = 421;
    ctx.body = `This is ${process.pid}.`;
    return;
  }
  return next();
}
