import type { ProcessAgentConfig } from './dist/index';

export * from './dist/index';

declare module '@midwayjs/core' {
  interface MidwayConfig {
    processAgent?: Partial<ProcessAgentConfig>;
  }
}
