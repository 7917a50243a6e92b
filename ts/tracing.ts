/**
 * OpenTelemetry's context crosses with a call when the application has registered an SDK. What it has registered is
 * taken from where every copy of `@opentelemetry/api` 1.x leaves it, and no copy is loaded: one that is newer than the
 * one that registered would find nothing (Midway 4 brings its own).
 */
import type { Carrier } from './engine/engine';
import { overStream, within } from './stream';

/** Of the API's public interfaces of the same names, what is used here. */
interface Context {
  getValue(key: symbol): unknown;
  setValue(key: symbol, value: unknown): Context;
  deleteValue(key: symbol): Context;
}

interface ContextManager {
  active(): Context;
  with<T>(context: Context, fn: () => T): T;
}

interface TextMapPropagator {
  inject(context: Context, carrier: Carrier, setter: typeof SETTER): void;
  extract(context: Context, carrier: Carrier, getter: typeof GETTER): Context;
}

interface Registered {
  context?: ContextManager;
  propagation?: TextMapPropagator;
}

const API: unique symbol = Symbol.for('opentelemetry.js.api.1') as never;

const SETTER = {
  set(carrier: Carrier, key: string, value: unknown): void {
    if (typeof value === 'string') {
      carrier[key] = value;
    }
  },
};

const GETTER = {
  keys: (carrier: Carrier): string[] => Object.keys(carrier),
  get: (carrier: Carrier, key: string): string | undefined => (Object.hasOwn(carrier, key) ? carrier[key] : undefined),
};

/** A context in which nothing is set, to begin with what another process has sent. */
class RootContext implements Context {
  readonly #values: ReadonlyMap<symbol, unknown>;

  constructor(values: ReadonlyMap<symbol, unknown> = new Map()) {
    this.#values = values;
  }

  getValue(key: symbol): unknown {
    return this.#values.get(key);
  }

  setValue(key: symbol, value: unknown): Context {
    return new RootContext(new Map(this.#values).set(key, value));
  }

  deleteValue(key: symbol): Context {
    const values = new Map(this.#values);
    values.delete(key);
    return new RootContext(values);
  }
}

function registered(): Registered | undefined {
  return (globalThis as { [API]?: Registered })[API];
}

/** What of the context that is active now has to go along with a call. */
export function carrierOfNow(): Carrier | undefined {
  const api = registered();
  if (!api?.context || !api.propagation) {
    return undefined;
  }
  const carrier: Carrier = {};
  try {
    api.propagation.inject(api.context.active(), carrier, SETTER);
  } catch {
    // A propagator that fails costs the trace, not the call.
    return undefined;
  }
  return Object.keys(carrier).length > 0 ? carrier : undefined;
}

/** `options` with the carrier of now; the same object where there is none. */
export function withCarrier<T extends object>(options: T | undefined): (T & { carrier?: Carrier }) | undefined {
  const carrier = carrierOfNow();
  return carrier ? ({ ...options, carrier } as T & { carrier: Carrier }) : options;
}

/** Runs a call in the context that its caller's process has sent along; its async iterable as well. */
export function runInContext(carrier: Carrier, run: () => unknown): unknown {
  const api = registered();
  const manager = api?.context;
  if (!manager || !api.propagation) {
    return run();
  }
  let context: Context;
  try {
    context = api.propagation.extract(new RootContext(), carrier, GETTER);
  } catch {
    return run();
  }
  const enter = <T>(fn: () => T): T => manager.with(context, fn);
  return overStream(enter(run), stream => within(stream, enter));
}
