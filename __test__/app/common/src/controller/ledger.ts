import { Controller, Get, Inject, Query } from '@midwayjs/core';
import { ProcessAgentService } from '@midwayjs/process-agent';
import { here } from '../here';
import { LedgerService } from '../service/ledger';
import { WorkloadService } from '../service/workload';

@Controller('/ledger')
export class LedgerController {
  @Inject()
  ledger: LedgerService;

  @Inject()
  agent: ProcessAgentService;

  @Get('/add')
  async add(@Query('id') id: string, @Query('ms') ms: string) {
    return { ...here, ...(await this.ledger.add(id, Number(ms))) };
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
