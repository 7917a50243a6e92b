import { Controller, Get, Inject } from '@midwayjs/core';
import { ProcessAgentService } from '@midwayjs/process-agent';
import { CounterService } from '../service/counter';

@Controller('/')
export class CounterController {
  @Inject()
  counter: CounterService;

  @Inject()
  agent: ProcessAgentService;

  @Get('/count-here')
  async countHere() {
    return { answeredBy: process.pid, ...(await this.counter.countHere()) };
  }

  @Get('/count-for-all')
  async countForAll() {
    return { answeredBy: process.pid, ...(await this.counter.countForAll()) };
  }

  @Get('/counted-by-each')
  async countedByEach() {
    return { answeredBy: process.pid, each: await this.counter.countedByEach() };
  }

  @Get('/whoami')
  async whoami() {
    const { role, epoch, group } = this.agent;
    return { answeredBy: process.pid, role, epoch, group };
  }
}
