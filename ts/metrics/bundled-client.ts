/**
 * Finds a client library that a bundler (esbuild, webpack, ncc, rollup) has put into the application's own files: its
 * default registry is a copy that nothing outside can reach. What it says to the workers of a cluster is a text that
 * every bundler and minifier leaves as it is.
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';

/** Apart, so that a bundle of this package is not taken for one. */
const NAMES = ['prom-client:', '@prometheus-io/client:'];
const MESSAGE = 'getMetricsReq';

const INSTALLED = /[\\/]node_modules[\\/]/;
/** Bytes: the libraries alone have 30,000, and a program of more can't be one that was bundled from JavaScript. */
const SMALLEST = 16 * 1024;
const LARGEST = 64 * 1024 * 1024;
const MOST_FILES = 500;
const CHUNK = 1024 * 1024;

/** The file, or `undefined`. Never fails. Reads in pieces: the event loop is blocked for 1 ms at a time. */
export async function bundledClient(files = loadedFiles()): Promise<string | undefined> {
  const own = files.filter(file => isAbsolute(file) && !INSTALLED.test(file));
  for (const file of [...new Set(own)].slice(0, MOST_FILES)) {
    try {
      const { size } = await stat(file);
      if (size >= SMALLEST && size <= LARGEST && (await hasClient(file))) {
        return file;
      }
    } catch {
      // Not a file any more, or not to be read.
    }
  }
  return undefined;
}

/** The program, and what it has loaded with `require()`. Nothing tells what was loaded with `import`. */
function loadedFiles(): string[] {
  return [process.argv[1] ?? '', __filename, ...Object.keys(require.cache)];
}

async function hasClient(file: string): Promise<boolean> {
  let last = Buffer.alloc(0);
  for await (const chunk of createReadStream(file, { highWaterMark: CHUNK })) {
    const bytes = Buffer.concat([last, chunk as Buffer]);
    for (let at = bytes.indexOf(MESSAGE); at >= 0; at = bytes.indexOf(MESSAGE, at + 1)) {
      if (NAMES.some(name => bytes.subarray(Math.max(at - name.length, 0), at).equals(Buffer.from(name)))) {
        return true;
      }
    }
    last = bytes.subarray(-MESSAGE.length - Math.max(...NAMES.map(name => name.length)));
  }
  return false;
}
