import { Controller, Get, Inject, Query } from '@midwayjs/core';
import { here } from '../here';
import { SharedService } from '../service/shared';
import { thrownBy } from '../thrown';

/** Each answer says which process gave it: `pid` answered, `executedBy` ran the method. */
@Controller('/')
export class SharedController {
  @Inject()
  shared: SharedService;

  @Get('/set')
  async set(@Query('value') value: string) {
    return { ...here, ...(await this.shared.setData(value)) };
  }

  @Get('/get')
  async get() {
    return { ...here, ...(await this.shared.getData()) };
  }

  @Get('/set-local')
  async setLocal(@Query('value') value: string) {
    return { ...here, ...(await this.shared.setLocal(value)) };
  }

  @Get('/get-local')
  async getLocal() {
    return { ...here, ...(await this.shared.getLocal()) };
  }

  @Get('/count')
  async count() {
    return { ...here, ...(await this.shared.count1()) };
  }

  @Get('/echo-size')
  async echoSize(@Query('bytes') bytes: string) {
    const sent = 'x'.repeat(Number(bytes));
    const { text, executedBy } = await this.shared.echo(sent);
    return { ...here, executedBy, bytes: text.length, equal: text === sent };
  }

  @Get('/null')
  async giveNull() {
    return { ...here, isNull: (await this.shared.giveNull()) === null };
  }

  @Get('/undefined')
  async giveUndefined() {
    return { ...here, isUndefined: (await this.shared.giveUndefined()) === undefined };
  }

  @Get('/fail')
  async fail(@Query('kind') kind: string) {
    return { ...here, thrown: await thrownBy(() => this.shared.fail(kind)) };
  }

  @Get('/hang')
  async hang() {
    return { ...here, thrown: await thrownBy(() => this.shared.hang()) };
  }
}
