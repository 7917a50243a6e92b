import { setTimeout as sleep } from 'node:timers/promises';
import { Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary } from '@midwayjs/process-agent';

/** A table that only the primary has. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class RowsService {
  private readonly readings = new Map<string, { read: number; ended: boolean }>();

  @RunInPrimary()
  async *rows(reading: string, count: number, failAt?: number) {
    const state = { read: 0, ended: false };
    this.readings.set(reading, state);
    try {
      for (let row = 0; row < count; row++) {
        if (row === failAt) {
          throw new RangeError(`row ${row} is broken`);
        }
        await sleep(1);
        state.read = row + 1;
        yield { row, pid: process.pid, at: new Date(row) };
      }
    } finally {
      state.ended = true;
    }
  }

  @RunInPrimary()
  async reading(id: string) {
    return this.readings.get(id);
  }
}
