import { createRequire } from 'node:module';
import { test } from 'vitest';

test('an application', () => createRequire(import.meta.url)('./case.cjs').run('two'), 60_000);
