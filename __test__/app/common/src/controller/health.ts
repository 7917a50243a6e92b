import { Controller, Get, Inject, MidwayHealthService, Query } from '@midwayjs/core';
import { ProcessHealthService } from '@midwayjs/process-agent';
import { block, check } from '../health';
import { here } from '../here';

@Controller('/')
export class HealthController {
  /** Midway's own. */
  @Inject()
  midway: MidwayHealthService;

  @Inject()
  group: ProcessHealthService;

  @Get('/health')
  async health() {
    return { ...here, ...(await this.midway.getStatus()) };
  }

  @Get('/group-health')
  async groupHealth() {
    return { ...here, ...(await this.group.getStatus()) };
  }

  /** Says which process it is that does nothing else from now on. */
  @Get('/stall')
  async block(@Query('ms') ms: string) {
    setTimeout(() => block(Number(ms)), 10);
    return { ...here };
  }

  @Get('/check')
  async check(@Query('reason') reason: string | undefined, @Query('delay') delay: string | undefined) {
    check.reason = reason;
    check.delay = Number(delay ?? 0);
    return { ...here };
  }

  @Get('/exit')
  async exit(@Query('code') code: string) {
    setTimeout(() => process.exit(Number(code)), 10);
    return { ...here };
  }
}
