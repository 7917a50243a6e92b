import { httpError, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary } from '@midwayjs/process-agent';

/** One value twice: kept by the primary for all processes, and kept by each process for itself. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class SharedService {
  private shared: unknown = 0;
  private local: unknown = 0;
  private count = 0;

  @RunInPrimary()
  async setData(value: unknown) {
    this.shared = value;
    return { value: this.shared, executedBy: process.pid };
  }

  @RunInPrimary()
  async getData() {
    return { value: this.shared, executedBy: process.pid };
  }

  async setLocal(value: unknown) {
    this.local = value;
    return { value: this.local, executedBy: process.pid };
  }

  async getLocal() {
    return { value: this.local, executedBy: process.pid };
  }

  /** Two awaits between reading and writing would lose counts if two processes ran it; one process's loop doesn't. */
  @RunInPrimary()
  async count1() {
    this.count += 1;
    return { value: this.count, executedBy: process.pid };
  }

  @RunInPrimary()
  async echo(text: string) {
    return { text, executedBy: process.pid };
  }

  @RunInPrimary()
  async giveNull() {
    return null;
  }

  @RunInPrimary()
  async giveUndefined() {
    return undefined;
  }

  @RunInPrimary()
  async fail(kind: string): Promise<void> {
    switch (kind) {
      case 'null':
        throw null;
      case 'undefined':
        throw undefined;
      case 'string':
        throw 'a string';
      case 'http':
        throw new httpError.NotFoundError('nothing here');
      default:
        throw Object.assign(new TypeError('a broken promise'), { code: 'E_BROKEN', detail: { answer: 42 } });
    }
  }

  /** Never ends by itself; the caller's process is told by the answer that it has begun. */
  @RunInPrimary()
  async hang(): Promise<void> {
    await new Promise<void>(() => {});
  }
}
