import { ApplicationContext, Controller, Get, type IMidwayContainer, Inject, Query } from '@midwayjs/core';
import { here } from './here';

/** When the component is imported: `before` ours or `after` it. Loading it is not for nothing. */
const place = (process.env.WITH_PROMETHEUS || undefined) as 'before' | 'after' | undefined;
const component = place && (require('@midwayjs/prometheus') as typeof import('@midwayjs/prometheus'));

export const hasPrometheus = component !== undefined;

export function beside(processAgent: object): object[] {
  return component === undefined
    ? [processAgent]
    : place === 'before'
      ? [component, processAgent]
      : [processAgent, component];
}

/** As that component's documentation has it. */
export async function defineMetrics(container: IMidwayContainer): Promise<void> {
  if (component) {
    const data = await container.getAsync(component.DataService);
    data.define('sales', 'Counter', { name: 'shop_sales_total', help: 'Sales', labelNames: ['kind'] });
    data.define('stock', 'Gauge', { name: 'shop_stock', help: 'Set' });
    data.define('open', 'Gauge', { name: 'shop_open', help: 'Set at first, then counted up and down' });
    data.define('size', 'Histogram', { name: 'shop_size', help: 'Sizes', buckets: [1, 10] });
    data.define('wait', 'Summary', { name: 'shop_wait', help: 'Waits', labelNames: ['kind'], percentiles: [0.5] });
    await data.set('open', 0);
  }
}

@Controller('/data')
export class DataController {
  @ApplicationContext()
  container: IMidwayContainer;

  @Inject()
  ctx: { status: number };

  @Get('/record')
  async record(@Query('value') value: string) {
    const data = await this.data();
    await data.inc('sales', { kind: 'book' }, Number(value));
    await data.observe('size', [], Number(value));
    await data.observe('wait', ['long'], Number(value));
    return here;
  }

  @Get('/set')
  async set(@Query('value') value: string) {
    await (await this.data()).set('stock', Number(value));
    return here;
  }

  @Get('/differ')
  async differ(@Query('by') by: string) {
    await (await this.data()).setDiff('open', Number(by));
    return here;
  }

  @Get('/fail')
  async fail() {
    throw new Error('as wished');
  }

  @Get('/unknown')
  async unknown() {
    await (await this.data()).inc('nobody-has-defined-it', {});
    return here;
  }

  private data() {
    return this.container.getAsync((component as NonNullable<typeof component>).DataService);
  }
}
