import { Controller, Get, Inject } from '@midwayjs/core';
import { here } from '../here';
import { ListenerService } from '../service/listener';
import { thrownBy } from '../thrown';

@Controller('/callback')
export class ListenerController {
  @Inject()
  listener: ListenerService;

  @Get('/')
  async callback() {
    const got: number[] = [];
    const thrown = await thrownBy(() => this.listener.each(3, i => got.push(i)));
    return { ...here, got, thrown };
  }
}
