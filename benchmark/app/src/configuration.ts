import { Configuration } from '@midwayjs/core';
import * as koa from '@midwayjs/koa';
import * as processAgent from '@midwayjs/process-agent';

// Without a port koa does not listen: nothing but the calls is measured.
@Configuration({
  imports: [koa, processAgent],
  importConfigs: [{ default: { keys: 'not-secret', koa: {} } }],
})
export class MainConfiguration {}
