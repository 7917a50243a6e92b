/** The endpoint of a group, answered by the primary's native thread. */
import { hosts, keepsItsPromisesToClients } from '../support/admin';
import { freePorts, get } from '../support/http';
import { until } from '../support/until';
import { Processes } from './members';

let processes: Processes;
let port: number;

beforeAll(async () => {
  processes = new Processes();
  [port] = await freePorts(1);
  const { workers } = await processes.group(1, {
    config: { admin: { port, hosts }, primary: { maxBlocked: 600_000 } },
  });
  await until(() => get<object>(port, '/live'), { what: 'the endpoint', every: 5 });
  // A scrape waits `metrics.timeout` for it.
  workers[0].run('block', Number.POSITIVE_INFINITY).catch(() => {});
  await workers[0].until('its block', told => told.type === 'blocked');
});
afterAll(() => processes.end());

keepsItsPromisesToClients(() => port, 1_000);
