import { join } from 'node:path';
import { killAll, runToEnd } from '../support/processes';

afterEach(killAll);

test('an engine that was closed can be collected, and its process ends by itself', async () => {
  const script = join(__dirname, 'leaves-nothing.js');
  const { code, output } = await runToEnd(['--expose-gc', script], { cwd: __dirname });
  expect(code).toBe(0);
  // The last one may still be on a stack.
  expect(JSON.parse(output)).toMatchObject({ started: 30, held: expect.any(Number) });
  expect(JSON.parse(output).held).toBeLessThanOrEqual(1);
});
