import { Controller, Get, Inject } from '@midwayjs/core';
import { here } from '../here';
import { StockService } from '../service/stock';
import { thrownBy } from '../thrown';

@Controller('/stock')
export class StockController {
  @Inject()
  stock: StockService;

  @Get('/count')
  async count() {
    return { ...here, ...(await this.stock.count()) };
  }

  @Get('/reserve')
  async reserve() {
    return { ...here, thrown: await thrownBy(() => this.stock.reserve('a lamp')) };
  }
}
