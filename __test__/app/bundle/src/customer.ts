import { Provide } from '@midwayjs/core';
import { RunInPrimary } from '@midwayjs/process-agent';

/** Of the same name as another class; in one file nothing but the id tells them apart. */
@Provide('customer')
class User {
  @RunInPrimary()
  async save() {
    return `${process.pid} customer`;
  }
}

export { User as Customer };
