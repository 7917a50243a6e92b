import * as http from 'node:http';
import * as net from 'node:net';

export interface Answered {
  status: number;
  body: string;
}

export interface RequestOptions {
  timeout?: number;
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

/** One GET on a connection of its own, so that under a cluster each request may land on another worker. */
export function request(port: number, path: string, options: RequestOptions = {}): Promise<Answered> {
  const { timeout = 20_000, signal, headers } = options;
  return new Promise((resolve, reject) => {
    const sent = http.get(
      { host: '127.0.0.1', port, path, agent: false, headers: { ...headers, connection: 'close' }, timeout, signal },
      response => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', piece => {
          body += piece;
        });
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode as number, body }));
      },
    );
    sent.on('timeout', () => sent.destroy(new Error(`GET ${path} had no answer for ${timeout} ms`)));
    sent.on('error', reject);
  });
}

/** The same, for what answers 200 and JSON. */
export async function get<T>(port: number, path: string, timeout?: number): Promise<T> {
  const { status, body } = await request(port, path, { timeout });
  if (status !== 200) {
    throw new Error(`GET ${path} answered ${status}: ${body.slice(0, 1000)}`);
  }
  return JSON.parse(body);
}

// Below the range from which Linux takes ports for outgoing connections, so that none of those is in the way.
const lowest = 10_000;
const highest = 32_000;
let next = lowest + Math.floor(Math.random() * (highest - lowest - 1_000));

/** `count` free ports in a row. */
export async function freePorts(count: number): Promise<number[]> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const ports = Array.from({ length: count }, (_, i) => next + i);
    next = next + count > highest ? lowest : next + count;
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) {
      return ports;
    }
  }
  throw new Error(`no ${count} free ports in a row`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = net.createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
