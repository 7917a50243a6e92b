import * as core from '@midwayjs/core';
import { Configuration } from '@midwayjs/core';
import * as koa from '@midwayjs/koa';
import * as processAgent from '@midwayjs/process-agent';

// Midway 4 wants to be told how to find classes; Midway 3 looks by itself.
const { CommonJSFileDetector } = core as unknown as { CommonJSFileDetector?: new () => unknown };
const detector = CommonJSFileDetector ? { detector: new CommonJSFileDetector() as never } : {};

@Configuration({
  ...detector,
  imports: [koa, processAgent],
  importConfigs: [
    {
      default: {
        keys: 'not-secret',
        koa: { port: Number(process.env.PORT), hostname: '127.0.0.1' },
        // Bounds that a test can wait for.
        processAgent: JSON.parse(process.env.PROCESS_AGENT_CONFIG ?? '{}'),
      },
    },
  ],
})
export class MainConfiguration {}
