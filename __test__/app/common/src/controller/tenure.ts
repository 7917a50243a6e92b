import { Controller, Get, Inject, Query } from '@midwayjs/core';
import { here } from '../here';
import { block, TenureService } from '../service/tenure';

@Controller('/')
export class TenureController {
  @Inject()
  tenure: TenureService;

  /** The process can do nothing else meanwhile. */
  @Get('/block')
  async block(@Query('ms') ms: string) {
    block(Number(ms));
    return here;
  }

  @Get('/history')
  async history() {
    return { ...here, history: this.tenure.history };
  }
}
