import { Init, Inject, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { ProcessAgentService, RunInAll } from '@midwayjs/process-agent';
import { block } from './tenure';

/** What a process is told to do when something is set everywhere. */
type Trouble = 'throws' | 'hangs' | 'is-stuck';

/** A level that each process keeps for itself, and news that each process hears. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class EverywhereService {
  @Inject()
  agent: ProcessAgentService;

  private level = 'none';
  private readonly news: { text: string; from: number }[] = [];

  @Init()
  async init() {
    this.agent.handle('everywhere:level', () => this.current());
    this.agent.subscribe<string>('everywhere:news', (text, from) => this.news.push({ text, from: from.pid }));
  }

  @RunInAll({ timeout: 300 })
  async setLevel(level: string, trouble?: Trouble, inPid?: number): Promise<void> {
    if (inPid === process.pid) {
      await make(trouble);
    }
    this.level = level;
  }

  current(): { level: string; pid: number } {
    return { level: this.level, pid: process.pid };
  }

  heard(text: string) {
    return this.news.filter(each => each.text.startsWith(text));
  }
}

async function make(trouble: Trouble | undefined): Promise<void> {
  switch (trouble) {
    case 'throws':
      throw Object.assign(new RangeError('not in this process'), { code: 'E_LEVEL' });
    case 'hangs':
      return new Promise(() => {});
    case 'is-stuck':
      block(1_200);
  }
}
