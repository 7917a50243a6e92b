/** The configuration of an application, one of whose classes has a mistake. */
import { Configuration } from '@midwayjs/core';
import * as processAgent from '../../../ts';

export class Mistaken {
  @processAgent.RunInPrimary({ timeout: -1 })
  async run() {}
}

@Configuration({ imports: [processAgent] })
export class MainConfiguration {}
