import { Controller, Get, type IMidwayContainer, Inject, Query } from '@midwayjs/core';
import { ProcessAgentService } from '@midwayjs/process-agent';
import { here } from '../here';
import { LedgerService } from '../service/ledger';
import { StockService } from '../service/stock';
import { WorkloadService } from '../service/workload';

@Controller('/ledger')
export class LedgerController {
  @Inject()
  ledger: LedgerService;

  @Inject()
  agent: ProcessAgentService;

  @Inject()
  ctx: { requestContext: Pick<IMidwayContainer, 'getAsync'> };

  @Get('/add')
  async add(@Query('id') id: string, @Query('ms') ms: string) {
    return { ...here, ...(await this.ledger.add(id, Number(ms))) };
  }

  @Get('/add-twice')
  async addTwice(@Query('id') id: string, @Query('ms') ms: string) {
    return { ...here, ...(await this.ledger.addTwice(id, Number(ms))) };
  }

  /** What it does second is made when it is needed, as much of a request is. */
  @Get('/add-and-count')
  async addAndCount(@Query('id') id: string, @Query('ms') ms: string) {
    const added = await this.ledger.add(id, Number(ms));
    const stock = await this.ctx.requestContext.getAsync(StockService);
    return { ...here, added, counted: await stock.count() };
  }

  @Get('/all')
  async all() {
    const { entries, executedBy } = await this.ledger.all();
    return { ...here, executedBy, entries: [...entries] };
  }

  @Get('/work')
  async work(@Query('atOnce') atOnce: string, @Query('ms') ms: string) {
    const outcomes = await this.agent.inAll(WorkloadService).start(Number(atOnce), Number(ms));
    return { ...here, started: outcomes.filter(({ status }) => status === 'fulfilled').length };
  }
}
