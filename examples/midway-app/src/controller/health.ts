import { Controller, Get, Inject, Query } from '@midwayjs/core';
import type { Context } from '@midwayjs/koa';
import { ProcessHealthService } from '@midwayjs/process-agent';

/** The health of this process, and of all of them. */
@Controller('/')
export class HealthController {
  @Inject()
  ctx: Context;

  @Inject()
  group: ProcessHealthService;

  /** For liveness: this process answers. */
  @Get('/live')
  async live() {
    return { answeredBy: process.pid };
  }

  /** For readiness: fails when any process of the group is dead, stuck, frozen or failing. */
  @Get('/health')
  async health() {
    const { status, reason } = await this.group.getStatus();
    this.ctx.status = status ? 200 : 503;
    return { answeredBy: process.pid, status, reason };
  }

  /** For people: every member, and how it does. */
  @Get('/health/group')
  async members() {
    return { answeredBy: process.pid, ...(await this.group.getStatus()) };
  }

  /** To try it: this process does nothing else for a while. */
  @Get('/hang')
  async hang(@Query('ms') ms: string) {
    setTimeout(() => {
      const until = Date.now() + Number(ms);
      while (Date.now() < until) {}
    }, 50);
    return { answeredBy: process.pid };
  }
}
