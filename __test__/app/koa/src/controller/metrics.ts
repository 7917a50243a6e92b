import { Controller, Get, Inject, Query } from '@midwayjs/core';
import { ProcessMetricsService } from '@midwayjs/process-agent';
import { Counter, collectDefaultMetrics } from 'prom-client';
import { here } from '../here';
import { hasPrometheus } from '../prometheus';

// Which that component does itself.
if (!hasPrometheus) {
  collectDefaultMetrics();
}
const orders = new Counter({ name: 'shop_orders_total', help: 'Orders', labelNames: ['kind'] });

/** As an application that only knows its own metrics: they are in prom-client's default registry. */
@Controller('/')
export class MetricsController {
  @Inject()
  metrics: ProcessMetricsService;

  @Inject()
  ctx: { set(name: string, value: string): void };

  @Get('/count-order')
  async order(@Query('kind') kind: string) {
    orders.inc({ kind });
    return { ...here };
  }

  @Get('/metrics')
  async getMetrics() {
    this.ctx.set('content-type', this.metrics.contentType);
    return this.metrics.getMetrics();
  }
}
