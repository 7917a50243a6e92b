import { Controller, Get, Inject } from '@midwayjs/core';
import { EchoService } from './echo';

const value = { id: 7, name: 'a small value', tags: ['a', 'b'] };

const { BENCHMARK_IOREDIS, BENCHMARK_REDIS } = process.env;

/** The benchmark says where the client is installed: it is no package of this application. */
const redis = BENCHMARK_IOREDIS ? new (require(BENCHMARK_IOREDIS))(BENCHMARK_REDIS) : undefined;

/** The same answer in three ways; and who answers. */
@Controller('/')
export class Routes {
  @Inject()
  echoService: EchoService;

  @Get('/plain')
  async plain() {
    return value;
  }

  @Get('/call')
  async call() {
    return this.echoService.echo(value);
  }

  @Get('/redis')
  async fromRedis() {
    return JSON.parse(await redis.get('value'));
  }

  /** Who answers a request, and who executes its call. */
  @Get('/pids')
  async pids() {
    return { worker: process.pid, primary: await this.echoService.echo('#pid') };
  }
}
