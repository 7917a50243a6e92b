import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

/** Bytes. Files of /proc tell 0, whatever they hold. */
const MAX_SIZE = 1024 * 1024;

/**
 * The file's text, or '' where it can't be read, is larger than 1 MiB, or is no regular file: opening a fifo would wait for
 * its other end.
 */
export function readRegularFile(path: string): string {
  let file: number | undefined;
  try {
    // Windows has no O_NONBLOCK, and no fifo among its files.
    file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const found = fstatSync(file);
    return found.isFile() && found.size <= MAX_SIZE ? readFileSync(file, 'latin1') : '';
  } catch {
    return '';
  } finally {
    if (file !== undefined) {
      closeSync(file);
    }
  }
}
