import { Provide } from '@midwayjs/core';
import { RunInPrimary } from '@midwayjs/process-agent';

@Provide()
export class User {
  @RunInPrimary()
  async save() {
    return `${process.pid} user`;
  }
}
