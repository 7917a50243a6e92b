import { Controller, Get, Inject, Query } from '@midwayjs/core';
import { MemberOutcome, ProcessAgentError, ProcessAgentService } from '@midwayjs/process-agent';
import { here } from '../here';
import { EverywhereService } from '../service/everywhere';

/** Questions to all processes, and news for all. */
@Controller('/everywhere')
export class EverywhereController {
  @Inject()
  everywhere: EverywhereService;

  @Inject()
  agent: ProcessAgentService;

  @Get('/set')
  async set(@Query('level') level: string, @Query('trouble') trouble: never, @Query('in') inPid: string) {
    try {
      await this.everywhere.setLevel(level, trouble, Number(inPid));
      return { ...here, code: null };
    } catch (error) {
      const { code, message, outcomes = [] } = error as ProcessAgentError;
      return { ...here, code, message, outcomes: outcomes.map(asJson) };
    }
  }

  @Get('/gather')
  async gather() {
    return { ...here, outcomes: (await this.agent.gather('everywhere:level')).map(asJson) };
  }

  @Get('/in-all')
  async inAll() {
    return { ...here, outcomes: (await this.agent.inAll(EverywhereService).current()).map(asJson) };
  }

  @Get('/publish')
  async publish(@Query('text') text: string, @Query('times') times: string) {
    for (let i = 0; i < Number(times); i++) {
      await this.agent.publish('everywhere:news', `${text} ${i}`);
    }
    return here;
  }

  @Get('/heard')
  async heard(@Query('text') text: string) {
    return { ...here, news: this.everywhere.heard(text) };
  }
}

function asJson(outcome: MemberOutcome) {
  const { pid, role } = outcome.member;
  if (outcome.status === 'fulfilled') {
    return { pid, role, value: outcome.value };
  }
  const { name, code, message } = outcome.reason as Error & { code?: string };
  return { pid, role, failed: { name, code, message, isRangeError: outcome.reason instanceof RangeError } };
}
