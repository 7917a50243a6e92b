/**
 * The default registry of every copy of prom-client that the application has loaded. None is loaded for this: one that
 * the application has not loaded has nothing to tell, and one that is loaded later is found later.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { isRegistry, type Registry } from './registry-types';

const CLIENTS = ['prom-client', '@prometheus-io/client'];
const LOADED = /[\\/]node_modules[\\/](?:prom-client|@prometheus-io[\\/]client)[\\/]index\.js$/;
/** Going through all loaded modules takes 0.1 ms where they are thousands. */
const MIN_AGE_MS = 5_000;

type ModuleCache = Readonly<Record<string, { exports?: unknown } | undefined>>;

export class DefaultRegistries {
  #found: Registry[] = [];
  #lookedAt = Number.NEGATIVE_INFINITY;

  /** The copy that the application itself would get comes first: its metrics go before others of the same names. */
  constructor(
    private readonly baseFolder: string | undefined,
    private readonly cache: ModuleCache = require.cache,
    private readonly minAge = MIN_AGE_MS,
  ) {}

  list(): readonly Registry[] {
    const now = performance.now();
    if (now - this.#lookedAt >= this.minAge) {
      this.#lookedAt = now;
      this.#found = this.#look();
    }
    return this.#found;
  }

  #look(): Registry[] {
    const own = this.#resolved().filter(file => this.cache[file]);
    const others = Object.keys(this.cache).filter(file => LOADED.test(file));
    const registries = new Set<Registry>();
    for (const file of [...own, ...others.sort()]) {
      const registry = registerOf(this.cache[file]?.exports);
      if (registry) {
        registries.add(registry);
      }
    }
    return [...registries];
  }

  /** What `require` gives in the application, and in the folder that it was started in. */
  #resolved(): string[] {
    const files: string[] = [];
    for (const folder of [this.baseFolder, process.cwd()]) {
      for (const client of folder === undefined ? [] : CLIENTS) {
        try {
          files.push(createRequire(join(folder as string, 'index.js')).resolve(client));
        } catch {
          // Not installed there.
        }
      }
    }
    return files;
  }
}

function registerOf(exports: unknown): Registry | undefined {
  try {
    const register = (exports as { register?: unknown } | null | undefined)?.register;
    return isRegistry(register) ? register : undefined;
  } catch {
    return undefined;
  }
}
