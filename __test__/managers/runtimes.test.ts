/** Midway in runtimes that are not Node. */
import { type Deployed, plainNode } from '../support/deployments';
import { killAll } from '../support/processes';
import { expectAnotherPrimaryAfterDeath, keepsTheBasicPromises } from '../support/promises';
import { inEachRuntime } from '../support/runtimes';

inEachRuntime('processes of %s with one group name, Midway 4', (name, runtime) => {
  let current: Deployed;
  beforeAll(async () => {
    current = await plainNode({ runtime, workers: 2, group: `${name}-${process.pid}-${Date.now()}` });
  });
  afterAll(killAll);

  keepsTheBasicPromises(() => current, { deployment: 'configured' });

  it('has another primary after SIGKILL of the primary', async () => {
    await expectAnotherPrimaryAfterDeath(current.application, 2);
  });
});
