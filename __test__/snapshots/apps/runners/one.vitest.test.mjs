import { createRequire } from 'node:module';
import { test } from 'vitest';

test('takes a snapshot', () => {
  createRequire(import.meta.url)('./take.cjs');
});
