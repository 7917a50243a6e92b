import { CommonJSFileDetector, Configuration } from '@midwayjs/core';
import * as koa from '@midwayjs/koa';
import * as processAgent from '@midwayjs/process-agent';

@Configuration({
  detector: new CommonJSFileDetector(),
  // Importing the component is all that is needed.
  imports: [koa, processAgent],
  importConfigs: [{ default: { keys: 'change-me', koa: { port: Number(process.env.PORT ?? 7001) } } }],
})
export class MainConfiguration {}
