/** Bun and Deno, where their npm packages can be had. */
const found: { bun?: string; deno?: string; missing?: string } = require('../../scripts/runtimes').runtimes();
const { bun = '', deno = '', missing } = found;
if (missing) {
  console.warn(`Bun and Deno are not here, so nothing is tested with them: ${missing}.`);
}

/** A program that runs JavaScript, and what comes before the file. */
export interface Runtime {
  program: string;
  args: string[];
}

const runtimes: [string, Runtime][] = [
  ['Bun', { program: bun, args: [] }],
  // A file beside a package.json that names no kind of module is one of ECMAScript for Deno, unless it is in node_modules.
  ['Deno', { program: deno, args: ['run', '--allow-all', '--unstable-detect-cjs'] }],
];

/** `describe` in each of them. */
export const inEachRuntime = (missing ? describe.skip : describe).each(runtimes);
