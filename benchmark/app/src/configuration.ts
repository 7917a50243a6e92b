import { Configuration } from '@midwayjs/core';
import * as koa from '@midwayjs/koa';
import * as processAgent from '@midwayjs/process-agent';

const { PORT, BENCHMARK_MAX_PENDING } = process.env;

// Without a port koa does not listen: nothing but the calls is measured.
@Configuration({
  imports: [koa, processAgent],
  importConfigs: [
    {
      default: {
        keys: 'not-secret',
        koa: PORT ? { port: Number(PORT), hostname: '127.0.0.1' } : {},
        processAgent: BENCHMARK_MAX_PENDING ? { maxPending: Number(BENCHMARK_MAX_PENDING) } : {},
      },
    },
  ],
})
export class MainConfiguration {}
