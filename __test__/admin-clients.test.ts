/** The endpoint of a process that is alone, answered by its event loop. */
import { hosts, keepsItsPromisesToClients } from './support/admin';
import { freePorts, get } from './support/http';
import { closeAll, startApp } from './support/light-app';
import { until } from './support/until';

const SLOW = 500;
let port: number;

beforeAll(async () => {
  [port] = await freePorts(1);
  const registry = {
    getMetricsAsArray: () => [],
    metrics: () => new Promise<string>(resolve => setTimeout(resolve, SLOW, 'slow 1\n')),
  };
  await startApp([], { admin: { port, hosts }, metrics: { registries: [registry] } });
  await until(() => get<object>(port, '/live'), { what: 'the endpoint', every: 5 });
});
afterAll(closeAll);

keepsItsPromisesToClients(() => port, SLOW);
