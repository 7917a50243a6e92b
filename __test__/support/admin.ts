/** What both implementations of the admin endpoint promise of their clients, as tests about one that answers. */

import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { request } from './http';
import { until, within } from './until';

interface Head {
  what: string;
  method?: string;
  version?: string;
  target?: string;
  host: string[];
  status: number;
}

export const { hosts, heads } = JSON.parse(readFileSync(join(__dirname, 'hosts.json'), 'utf8')) as {
  hosts: string[];
  heads: Head[];
};

/** Of an endpoint with `hosts`, whose scrapes take `slow` ms. */
export function keepsItsPromisesToClients(port: () => number, slow: number): void {
  test.each(heads)('$what: $status', async ({ method = 'GET', version = '1.1', target = '/live', host, status }) => {
    const lines = host.map(each => `Host: ${each.replace('{port}', String(port()))}\r\n`).join('');
    const client = new Client(port());
    const answer = await client.ask(`${method} ${target} HTTP/${version}\r\n${lines}\r\n`);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.[01] ${status} `));
    if (status === 421) {
      expect(answer).toContain('processAgent.admin.hosts');
    }
    client.close();
  });

  test('200 clients that connect again and again and ask nothing keep no probe out', async () => {
    let floods = true;
    const clients = new Set<Socket>();
    const flood = () => {
      if (floods) {
        const socket = connect(port(), '127.0.0.1').on('error', () => {});
        clients.add(socket.on('close', () => clients.delete(socket)).on('close', flood));
        socket.resume();
      }
    };
    for (let i = 0; i < 200; i++) {
      flood();
    }
    try {
      for (let i = 0; i < 20; i++) {
        expect((await request(port(), '/live', { timeout: 2_000, headers: { host: 'localhost' } })).status).toBe(200);
      }
    } finally {
      floods = false;
      for (const socket of clients) {
        socket.destroy();
      }
    }
  });

  test('heads that are not complete give way, and clients that were answered before those that have just come', async () => {
    const slowHeads = Array.from({ length: 64 }, () => new Client(port()));
    for (const client of slowHeads) {
      await client.connected;
      client.say('GET /live HTTP/1.1\r\nHost: localhost\r\n');
    }
    const later = Array.from({ length: 32 }, () => new Client(port()));
    for (const client of later) {
      expect(await client.ask('GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /);
    }
    await until(() => slowHeads.slice(0, 32).every(({ ended }) => ended), { what: '32 that give way', every: 5 });
    expect([...slowHeads.slice(32), ...later].filter(({ ended }) => ended)).toEqual([]);
    for (const client of [...slowHeads, ...later]) {
      client.close();
    }
  });

  test('the 65th request waits while 64 are being answered, and is answered then', async () => {
    const busy = Array.from({ length: 64 }, () => new Client(port()));
    const answers = await Promise.all(
      busy.map(async client => {
        await client.connected;
        return { answer: client.ask('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n') };
      }),
    );
    const began = performance.now();
    const late = new Client(port());
    expect(await late.ask('GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n')).toMatch(/^HTTP\/1.1 200 /);
    expect(performance.now() - began).toBeGreaterThan(slow / 2);
    for (const { answer } of answers) {
      expect(await answer).toMatch(/^HTTP\/1.1 200 /);
    }
    for (const client of [...busy, late]) {
      client.close();
    }
  });
}

/** A connection on which anything can be said. */
class Client {
  ended = false;
  readonly connected: Promise<unknown>;
  readonly #socket: Socket;

  constructor(port: number) {
    this.#socket = connect(port, '127.0.0.1');
    this.connected = new Promise(resolve => this.#socket.once('connect', resolve));
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      this.ended = true;
    });
    this.#socket.resume();
  }

  say(text: string): void {
    this.#socket.write(text, 'latin1');
  }

  /** The answer's head, and what comes with it. */
  ask(text: string): Promise<string> {
    const answer = new Promise<string>((resolve, reject) => {
      this.#socket.once('data', bytes => resolve(String(bytes)));
      this.#socket.once('close', () => reject(new Error('the connection has ended without an answer')));
    });
    this.say(text);
    return within(answer, { what: 'an answer', timeout: 20_000 });
  }

  close(): void {
    this.#socket.destroy();
  }
}
