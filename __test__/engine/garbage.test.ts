import { join } from 'node:path';
import { killAll, runToEnd } from '../support/processes';

afterEach(killAll);

test.each([
  ['', 'fits'],
  [', of a flood', 'flood'],
  [', and what it kept account of', 'told'],
])('what a primary has answered with%s is collected while it is young', async (_, kind) => {
  // With a large old space its garbage adds up, and shows.
  const options = ['--expose-gc', '--initial-old-space-size=512'];
  const { code, output } = await runToEnd([...options, join(__dirname, 'garbage.js'), kind], { cwd: __dirname });
  expect(code).toBe(0);
  const { answered, grown } = JSON.parse(output);
  expect(answered).toBeGreaterThanOrEqual(80_000);
  expect(grown).toBeLessThan(8_000_000);
});
