import { Controller, Get, Inject } from '@midwayjs/core';
import { ProcessAgentService } from '@midwayjs/process-agent';
import { UserService } from '../dropin/user';
import { here } from '../here';

/** What the agent says of this process and its group. */
@Controller('/')
export class AgentController {
  @Inject()
  agent: ProcessAgentService;

  @Inject()
  user: UserService;

  @Get('/whoami')
  async whoami() {
    const { role, epoch, group } = this.agent;
    const { deployment } = this.agent.explain();
    return { ...here, role, isPrimary: this.agent.isPrimary(), epoch, group, deployment };
  }

  @Get('/members')
  async members() {
    return { ...here, members: await this.agent.members() };
  }

  @Get('/explain')
  async explain() {
    return { ...here, ...this.agent.explain() };
  }

  @Get('/drop-in')
  async dropIn() {
    return { ...here, user: await this.user.getUser(), data: await this.user.testService.getData() };
  }
}
