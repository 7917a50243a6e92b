import { type Deployed, workerThreads } from '../support/deployments';
import { killAll } from '../support/processes';
import { keepsTheBasicPromises } from '../support/promises';

describe.each(['v3', 'v4'] as const)('worker threads with Midway %s', project => {
  let current: Deployed;
  beforeAll(async () => {
    current = await workerThreads({ project });
  });
  afterAll(killAll);

  keepsTheBasicPromises(() => current, { deployment: 'thread' });
});
