import { join } from 'node:path';
import { killAll, runToEnd } from '../support/processes';

const root = join(__dirname, '..', '..');

afterEach(killAll);

test('under load, whoever is killed, stopped, frozen or stuck, each call has one outcome and none runs twice', async () => {
  const { code, output } = await runToEnd([join('scripts', 'chaos.js')], {
    cwd: root,
    env: {
      CHAOS_SECONDS: '8',
      CHAOS_SEED: '8',
      ...(process.env.CHAOS_EVENTS && { CHAOS_EVENTS: process.env.CHAOS_EVENTS }),
    },
  });
  // The whole of what it counted is worth reading when it fails.
  expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('violations: 0') });
});
