/**
 * The admin endpoint of a process that is alone: it loads no binary, so its event loop answers what Rust answers in a
 * group. Paths, answers and bounds are those of `src/admin`.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ResolvedConfig } from '../config';
import type { Member } from '../interface';
import { refusalOf } from './admin-host';
import type { EngineLogger, Monitored } from './engine';
import { Seats } from './seats';

type Admin = NonNullable<ResolvedConfig['admin']>;

interface Answer {
  status: number;
  contentType: string;
  text: string;
}

/** What is told of the process. */
export interface Told extends Monitored {
  readonly group: string;
  readonly epoch: number;
  members(): Promise<Member[]>;
}

/** Clients at one time: see `Seats`. */
const CONNECTIONS = 64;
const HEAD_BYTES = 16 * 1024;
/** ms in which a request must have come, from the connection's beginning or the answer before. */
const READING = 5_000;
/** How often (ms) that is looked at. */
const LOOK = 500;
/** ms without any progress after which a client is cut off. */
const IDLE = 10_000;
/** How often (ms) a port is tried that somebody else has. */
const AGAIN = 250;

const PATHS = ['/metrics', '/health', '/live', '/members'];

export class Endpoint {
  readonly #server: Server;
  readonly #seats = new Seats<Socket>(CONNECTIONS, socket => socket.destroy());
  #complained = false;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(
    private readonly admin: Admin,
    private readonly told: Told,
    private readonly logger: EngineLogger,
  ) {
    this.#server = createServer(
      {
        maxHeaderSize: HEAD_BYTES,
        headersTimeout: READING,
        requestTimeout: READING,
        keepAliveTimeout: READING,
        connectionsCheckingInterval: LOOK,
        // Which is refused here, with the words of `src/admin`.
        requireHostHeader: false,
      },
      (request, response) => void this.#serve(request, response),
    );
    this.#server.timeout = IDLE;
    this.#server.on('connection', socket => {
      // Neither the endpoint nor its clients keep a process alive.
      socket.unref();
      this.#seats.come(socket);
      socket.once('close', () => this.#seats.leave(socket));
    });
    this.#server.on('error', error => this.#complain(error));
    this.#server.on('listening', () => {
      this.logger.info(`[process-agent] the admin endpoint is http://${this.#address} (${PATHS.join(', ')})`);
    });
    this.#listen();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#server.close();
    this.#server.closeAllConnections();
    this.#seats.close();
  }

  get #address(): string {
    const { host, port } = this.admin;
    return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  }

  #listen(): void {
    this.#server.listen(this.admin.port, this.admin.host).unref();
  }

  #complain(error: Error & { code?: string }): void {
    if (!this.#complained) {
      this.#complained = true;
      const why =
        error.code === 'EADDRINUSE'
          ? 'another process has that port; end it, or give each application a processAgent.admin.port of its own'
          : error.message;
      this.logger.warn(`[process-agent] the admin endpoint can't listen on ${this.#address}, and tries again: ${why}`);
    }
    if (!this.#closed) {
      this.#retry = setTimeout(() => this.#listen(), AGAIN).unref();
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    response.once('finish', () => this.#seats.rest(socket));
    if (!(await this.#seats.ask(socket))) {
      return;
    }
    const { status, contentType, text } = await this.#answer(request, response).catch((error: unknown) => {
      this.logger.error('[process-agent] the admin endpoint has failed to answer', error);
      return plain(500, 'the answer could not be made');
    });
    // Length and type are told to HEAD as well, to which Node sends no body.
    const bytes = Buffer.from(text);
    response.writeHead(status, {
      'content-type': contentType,
      'content-length': bytes.length,
      'cache-control': 'no-store',
    });
    response.end(bytes);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<Answer> {
    const { method, url = '', headers } = request;
    const refusal = refusalOf(request, this.admin.hosts);
    if (refusal) {
      response.setHeader('connection', 'close');
      return plain(refusal.status, refusal.text);
    }
    const path = url.replace(/^[a-z]+:\/\/[^/?#]*/i, '').split('?', 1)[0];
    if (!PATHS.includes(path)) {
      return plain(404, 'there are /metrics, /health, /live and /members');
    }
    if (method !== 'GET' && method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD').setHeader('connection', 'close');
      return plain(405, 'GET and HEAD are all there is');
    }
    if (headers['transfer-encoding'] || Number(headers['content-length'] ?? 0) !== 0) {
      response.setHeader('connection', 'close');
      return plain(400, 'no body is read');
    }
    const { group, epoch } = this.told;
    switch (path) {
      case '/metrics':
        return { status: 200, ...(await this.told.metrics()) };
      case '/health': {
        const health = await this.told.health();
        return json(health.status ? 200 : 503, health);
      }
      case '/members':
        return json(200, { group, epoch, members: await this.told.members() });
      default:
        return json(200, { pid: process.pid, epoch });
    }
  }
}

function json(status: number, value: object): Answer {
  return { status, contentType: 'application/json; charset=utf-8', text: JSON.stringify(value) };
}

function plain(status: number, text: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', text: `${text}\n` };
}
