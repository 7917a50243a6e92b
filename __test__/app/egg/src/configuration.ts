import { join } from 'node:path';
import { Configuration } from '@midwayjs/core';
import * as processAgent from '@midwayjs/process-agent';
import * as egg from '@midwayjs/web';

@Configuration({
  imports: [egg, processAgent],
  importConfigs: [join(__dirname, 'config')],
})
export class MainConfiguration {}
