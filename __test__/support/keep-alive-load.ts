import * as http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** What became of the requests, by how each ended. */
export interface Counted {
  answered: number;
  /** Answers of another status than 200, with the first text of each. */
  failed: number;
  texts: string[];
  /** The connection ended before the answer. */
  cut: number;
}

/** Asks without a pause, on `loops` connections that are used again, as a proxy does. */
export class KeepAliveLoad {
  readonly counted: Counted = { answered: 0, failed: 0, texts: [], cut: 0 };
  private readonly agent: http.Agent;
  private readonly loops: Promise<void>[];
  private stopped = false;

  constructor(
    private readonly port: number,
    private readonly path: string,
    loops = 16,
  ) {
    this.agent = new http.Agent({ keepAlive: true, maxSockets: loops });
    this.loops = Array.from({ length: loops }, () => this.keepAsking());
  }

  async stop(): Promise<Counted> {
    this.stopped = true;
    await Promise.all(this.loops);
    this.agent.destroy();
    return this.counted;
  }

  private async keepAsking(): Promise<void> {
    const { counted } = this;
    while (!this.stopped) {
      try {
        const { status, body } = await this.ask();
        if (status === 200) {
          counted.answered++;
        } else {
          counted.failed++;
          if (!counted.texts.includes(body) && counted.texts.length < 5) {
            counted.texts.push(body);
          }
        }
      } catch {
        counted.cut++;
        await sleep(5);
      }
    }
  }

  private ask(): Promise<{ status: number | undefined; body: string }> {
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.port, path: this.path, agent: this.agent, timeout: 10_000 };
      const sent = http.get(options, response => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', piece => {
          body += piece;
        });
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode, body: body.slice(0, 300) }));
      });
      sent.on('timeout', () => sent.destroy(new Error('no answer for 10 s')));
      sent.on('error', reject);
    });
  }
}
