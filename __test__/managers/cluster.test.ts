import { clusterManager, type Deployed, nodeCluster } from '../support/deployments';
import { killAll } from '../support/processes';
import { expectAnotherPrimaryAfterDeath, keepsTheBasicPromises } from '../support/promises';

describe.each(['v3', 'v4'] as const)('Midway %s', project => {
  afterAll(killAll);

  describe('node:cluster with the application in the cluster primary', () => {
    let current: Deployed;
    beforeAll(async () => {
      current = await nodeCluster({ project, appInPrimary: true });
    });
    afterAll(killAll);

    keepsTheBasicPromises(() => current, { deployment: 'cluster' });

    it('prefers the cluster primary, and keeps it when a worker dies', async () => {
      const { application, processes } = current;
      const primary = await application.primary();
      expect(primary.pid).toBe(processes[0].pid);
      await application.firstAnswer('/set?value=kept');

      const members = await application.fromEach('/get');
      const worker = members.find(member => member.pid !== primary.pid);
      process.kill(worker?.pid as number, 'SIGKILL');
      // Its replacement makes the group complete again.
      const answers = await application.firstAnswer('/get', ({ pid }) => members.every(member => member.pid !== pid));
      expect(answers).toMatchObject({ value: 'kept', executedBy: primary.pid });
    });
  });

  describe('node:cluster with the application in its workers alone', () => {
    let current: Deployed;
    beforeAll(async () => {
      current = await nodeCluster({ project, appInPrimary: false });
    });
    afterAll(killAll);

    keepsTheBasicPromises(() => current, { deployment: 'cluster' });

    it('has another primary after SIGKILL of the primary', async () => {
      await expectAnotherPrimaryAfterDeath(current.application, 3);
    });
  });

  describe('ClusterManager', () => {
    let current: Deployed;
    beforeAll(async () => {
      current = await clusterManager({ project, workers: 4 });
    });
    afterAll(killAll);

    keepsTheBasicPromises(() => current, { deployment: 'midway-cluster' });

    it('has another primary after SIGKILL of the primary, three times', async () => {
      // Midway replaces a killed worker only if it sees the end of its channel before its exit: at least one is left.
      for (const count of [4, 3, 2]) {
        await expectAnotherPrimaryAfterDeath(current.application, count);
      }
    });
  });
});
