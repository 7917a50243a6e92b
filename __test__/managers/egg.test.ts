import { type Deployed, eggScripts } from '../support/deployments';
import { killAll } from '../support/processes';
import { expectAnotherPrimaryAfterDeath, keepsTheBasicPromises } from '../support/promises';

describe('egg-scripts', () => {
  let current: Deployed;
  beforeAll(async () => {
    current = await eggScripts({ workers: 3 });
  });
  afterAll(killAll);

  keepsTheBasicPromises(() => current, { deployment: 'egg' });

  it('has another primary after SIGKILL of the primary', async () => {
    await expectAnotherPrimaryAfterDeath(current.application, 3);
  });
});
