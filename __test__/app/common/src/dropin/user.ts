// biome-ignore-all lint: the documentation's example for the package's earlier versions, kept as it was written.
// biome-ignore-all format: as above.
import { Inject, Provide } from '@midwayjs/core';
import { TestService } from './test';

@Provide()
export class UserService {

  @Inject()
  testService: TestService;

  async getUser() {
    let result = await this.testService.setData(1);
    return result;
  }
}
