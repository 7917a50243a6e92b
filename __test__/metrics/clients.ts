/** The libraries that applications have, by the names under which they are installed here. */
import type * as prometheus from 'prom-client-15';

export type Client = typeof prometheus;
export type ClientRegistry = prometheus.Registry;

export const CLIENTS = ['prom-client-14', 'prom-client-15', '@prometheus-io/client'] as const;
/** Those that know OpenMetrics. */
export const NEWER = CLIENTS.slice(1);

export function load(client: (typeof CLIENTS)[number]): Client {
  return require(client);
}

export function newRegistry({ Registry }: Client): ClientRegistry {
  return new Registry();
}

export function newOpenMetricsRegistry(client: Client): ClientRegistry {
  const registry = newRegistry(client);
  registry.setContentType('application/openmetrics-text; version=1.0.0; charset=utf-8' as never);
  return registry;
}
