/** What an application logs, for tests: give `hooks` to `startApp`. Ends with `jest.restoreAllMocks()`. */
import { format } from 'node:util';
import { DefaultConsoleLoggerFactory } from '@midwayjs/core';

export function recordLog() {
  const lines: string[] = [];
  for (const level of ['warn', 'error'] as const) {
    jest.spyOn(console, level).mockImplementation((...args) => {
      lines.push(format(...args));
    });
  }
  return { lines, hooks: { loggerFactory: new DefaultConsoleLoggerFactory() } };
}
