import { createServer, request as send } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import * as prom from 'prom-client-15';
import { freePorts, get, request } from './support/http';
import { closeAll, startApp } from './support/light-app';
import { recordLog } from './support/log';
import { until } from './support/until';

let port: number;
beforeEach(async () => {
  [port] = await freePorts(1);
});
afterEach(closeAll);

function registries(): prom.Registry[] {
  const registry = new prom.Registry();
  new prom.Counter({ name: 'alone_total', help: 'x', registers: [registry] }).inc(3);
  return [registry];
}

function untilLive(): Promise<object> {
  return until(() => get<object>(port, '/live'), { what: 'the endpoint', every: 5 });
}

test('a process that is alone answers the same paths, from its event loop', async () => {
  const app = await startApp([], { admin: { port }, metrics: { registries: registries() } });
  expect(await untilLive()).toEqual({ pid: process.pid, epoch: 1 });
  expect((await request(port, '/metrics')).body).toContain('\nalone_total 3\n');
  expect(await get(port, '/health')).toMatchObject({ status: true, members: [{ state: 'ok', checks: [] }] });
  expect(await get(port, '/members')).toMatchObject({ epoch: 1, members: [{ pid: process.pid, role: 'primary' }] });
  expect((await request(port, '/nothing')).status).toBe(404);
  await app.close();
  await expect(request(port, '/live')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('it fails with the reasons, and metrics that can not be made end nobody', async () => {
  const broken = { ...registries()[0], getMetricsAsArray: () => [], metrics: () => Promise.reject(new Error('no')) };
  await startApp([], { admin: { port }, metrics: { registries: [broken] }, health: { minMembers: 2 } });
  await untilLive();
  const { status, body } = await request(port, '/health');
  expect([status, JSON.parse(body).reason]).toEqual([503, 'the group has 1 members, health.minMembers is 2']);
  expect((await request(port, '/metrics')).status).toBe(500);
  await untilLive();
});

test.each([
  ['POST', '/live', 405, 'GET, HEAD'],
  ['HEAD', '/live', 200, undefined],
])('%s %s is answered with %i', async (method, path, status, allow) => {
  await startApp([], { admin: { port } });
  await untilLive();
  const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    send({ host: '127.0.0.1', port, path, method, agent: false }, resolve).on('error', reject).end();
  });
  response.resume();
  expect([response.statusCode, response.headers.allow]).toEqual([status, allow]);
  expect(Number(response.headers['content-length'])).toBeGreaterThan(0);
});

test.each([
  ['garbage', '\x00\xff\r\n\r\n', '400'],
  ['a head that is too large', `GET /live HTTP/1.1\r\nHost: localhost\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, '431'],
  ['a body', 'GET /live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello', '400'],
])('%s is refused', async (_what, bytes, status) => {
  await startApp([], { admin: { port } });
  await untilLive();
  const socket = connect(port, '127.0.0.1').on('error', () => {});
  socket.write(bytes, 'latin1');
  const answer = await new Promise(resolve => socket.once('data', resolve));
  expect(String(answer)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  socket.destroy();
});

test('a port that somebody else has does not fail the start, and is taken when it is free', async () => {
  const other = createServer((_, response) => response.writeHead(418).end());
  await new Promise<void>(resolve => other.listen(port, '127.0.0.1', resolve));
  expect((other.address() as AddressInfo).port).toBe(port);
  const { lines, hooks } = recordLog();
  await startApp([], { admin: { port } }, hooks);
  expect((await request(port, '/live')).status).toBe(418);
  other.close();
  other.closeAllConnections();
  await untilLive();
  const complaints = lines.filter(line => line.includes(`can't listen on 127.0.0.1:${port}`));
  jest.restoreAllMocks();
  expect(complaints).toEqual([expect.stringContaining('processAgent.admin.port')]);
});
