import { Controller, Get, Inject, MidwayHttpError, Query } from '@midwayjs/core';
import { here } from '../here';
import { OrderService, OutOfStockError } from '../service/orders';

@Controller('/order')
export class OrderController {
  @Inject()
  orders: OrderService;

  /** Leaves what is thrown to Midway. */
  @Get('/')
  async order(@Query('item') item: string) {
    return { ...here, executedBy: await this.orders.order(item) };
  }

  /** Handles what it knows by its class. */
  @Get('/carefully')
  async carefully(@Query('item') item: string) {
    try {
      return { ...here, executedBy: await this.orders.order(item) };
    } catch (error) {
      const { cause, stack, ...fields } = error as Error;
      return {
        ...here,
        outOfStock: error instanceof OutOfStockError,
        httpError: error instanceof MidwayHttpError,
        name: (error as Error).name,
        message: (error as Error).message,
        fields,
        causeOutOfStock: cause instanceof OutOfStockError && cause.left,
        stack: (error as Error).stack,
      };
    }
  }
}
