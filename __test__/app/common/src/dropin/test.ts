// biome-ignore-all lint: the documentation's example for the package's earlier versions, kept as it was written.
// biome-ignore-all format: as above.
import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary } from '@midwayjs/process-agent';

@Provide()
@Scope(ScopeEnum.Singleton)
export class TestService {

  data: any = 0;

  @RunInPrimary()
  async setData(B) {
    this.data = B;
    return this.data;
  }

  @RunInPrimary()
  async getData() {
    return this.data;
  }
}
