import { Controller, Get, Inject } from '@midwayjs/core';
import type { Context } from '@midwayjs/koa';
import { ProcessMetricsService } from '@midwayjs/process-agent';
import { collectDefaultMetrics } from 'prom-client';

collectDefaultMetrics();

/** The metrics of all processes, from whichever takes the request. */
@Controller('/')
export class MetricsController {
  @Inject()
  ctx: Context;

  @Inject()
  metrics: ProcessMetricsService;

  @Get('/metrics')
  async get() {
    this.ctx.set('content-type', this.metrics.contentType);
    return this.metrics.getMetrics();
  }
}
