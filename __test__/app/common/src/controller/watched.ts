import type { IncomingMessage, ServerResponse } from 'node:http';
import { Controller, Get, Inject, Query } from '@midwayjs/core';
import { ProcessAgentService } from '@midwayjs/process-agent';
import { here } from '../here';
import { WatchedService } from '../service/watched';
import { thrownBy } from '../thrown';

@Controller('/watched')
export class WatchedController {
  @Inject()
  watched: WatchedService;

  @Inject()
  agent: ProcessAgentService;

  @Inject()
  ctx: { req: IncomingMessage; res: ServerResponse };

  @Get('/timeout')
  async timeout(@Query('id') id: string) {
    return { ...here, thrown: await thrownBy(() => this.watched.waitShortly(id)) };
  }

  /** Ends the call when the client goes away. */
  @Get('/client')
  async client(@Query('id') id: string) {
    const gone = new AbortController();
    this.ctx.res.on('close', () => gone.abort(new Error('the client has gone')));
    return { ...here, thrown: await thrownBy(() => this.agent.call('watched:wait', [id], { signal: gone.signal })) };
  }

  @Get('/forever')
  async forever(@Query('id') id: string) {
    return { ...here, thrown: await thrownBy(() => this.watched.waitForever(id)) };
  }

  @Get('/sight')
  async sight(@Query('id') id: string) {
    return { ...here, sight: (await this.watched.sight(id)) ?? null };
  }
}
