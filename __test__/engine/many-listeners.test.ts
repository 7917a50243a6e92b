import { join } from 'node:path';
import { killAll, runToEnd } from '../support/processes';

afterEach(killAll);

test('20 listeners on an event, on tenure, on the signal of a call, and 20 calls that share a signal: no warning', async () => {
  const { code, output } = await runToEnd(['--no-warnings', join(__dirname, 'many-listeners.js')], { cwd: __dirname });
  expect(code).toBe(0);
  // The one warning is the script's own: it shows that others would have been seen.
  expect(JSON.parse(output)).toEqual({ answers: 20, warnings: ['MaxListenersExceededWarning'] });
});
