import type { IncomingMessage } from 'node:http';
import { Controller, Get, Inject } from '@midwayjs/core';
import { ProcessAgentService } from '@midwayjs/process-agent';
import { context, propagation, ROOT_CONTEXT } from '@opentelemetry/api';
import { here } from '../here';
import { activeTrace, TracedService } from '../service/traced';

@Controller('/traced')
export class TracedController {
  @Inject()
  traced: TracedService;

  @Inject()
  agent: ProcessAgentService;

  @Inject()
  ctx: { req: IncomingMessage };

  /** Handles the request in the trace that its headers name, as OpenTelemetry's own instrumentation of HTTP does. */
  @Get('/')
  async all() {
    return context.with(propagation.extract(ROOT_CONTEXT, this.ctx.req.headers), async () => {
      const { executedBy, traces } = await this.traced.active();
      const rows: unknown[] = [];
      for await (const each of this.traced.activeInRows()) {
        rows.push(each);
      }
      const everywhere = await this.agent.inAll(TracedService).here();
      return {
        ...here,
        executedBy,
        here: activeTrace(),
        called: traces,
        rows,
        everywhere: everywhere.map(outcome =>
          outcome.status === 'fulfilled' ? outcome.value : String(outcome.reason),
        ),
      };
    });
  }
}
