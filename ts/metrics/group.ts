/** The metrics of the group as the application asks for them, and those of its own process as the group does. */
import type { ResolvedConfig } from '../config';
import type { Engine } from '../engine/engine';
import type { MetricsOptions, MetricsRegistry } from '../interface';
import { DefaultRegistries } from './default-registries';
import { speaksOpenMetrics } from './registry-types';

const CONTENT_TYPES = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** What is known of the application's part in its group. */
interface Part {
  readonly config: ResolvedConfig | undefined;
  readonly engine: Engine;
}

export class GroupMetrics {
  #defaults: DefaultRegistries | undefined;

  constructor(
    private readonly part: Part,
    private readonly baseDir: () => string,
  ) {}

  registries(): readonly MetricsRegistry[] {
    const given = this.part.config?.metrics.registries;
    if (given) {
      return typeof given === 'function' ? given() : given;
    }
    this.#defaults ??= new DefaultRegistries(this.#folder());
    return this.#defaults.list() as readonly MetricsRegistry[];
  }

  get contentType(): string {
    return CONTENT_TYPES[this.#format()];
  }

  async text(options: MetricsOptions = {}): Promise<string> {
    const { engine, config } = this.part;
    const configured = (config as ResolvedConfig).metrics;
    const all = await engine.scrape?.({
      format: this.#format(options.format),
      timeout: options.timeout ?? configured.timeout,
      memberLabel: options.memberLabel ?? configured.memberLabel,
    });
    return all ?? ownText(this.registries());
  }

  #format(wanted = this.part.config?.metrics.format): 'text' | 'openmetrics' {
    if (wanted) {
      return wanted;
    }
    const registries = this.registries();
    return registries.length > 0 && registries.every(speaksOpenMetrics) ? 'openmetrics' : 'text';
  }

  #folder(): string | undefined {
    try {
      return this.baseDir();
    } catch {
      return undefined;
    }
  }
}

/** Of a process that is alone: what its registries say themselves. */
async function ownText(registries: readonly MetricsRegistry[]): Promise<string> {
  const texts = await Promise.all(registries.map(registry => registry.metrics()));
  return texts
    .map((text, i) => (i < texts.length - 1 ? `${text.replace(/# EOF\s*$/, '').trimEnd()}\n` : text))
    .join('');
}
