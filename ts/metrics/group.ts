/** The metrics of the group as the application asks for them, and those of its own process as the group does. */
import type { ResolvedConfig } from '../config';
import type { Engine, EngineLogger } from '../engine/engine';
import type { MetricsOptions, MetricsRegistry, Role } from '../interface';
import type { ApplicationContext } from '../midway';
import type { Decision } from '../role/decision';
import type { Topics } from '../topics';
import { bundledClient } from './bundled-client';
import { DefaultRegistries } from './default-registries';
import { joinPrometheus } from './prometheus';
import { speaksOpenMetrics } from './registry-types';

const CONTENT_TYPES = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** On which members say which gauges of `@midwayjs/prometheus` are counted up and down. */
const COUNTED = '!metrics:counted';

/** What is known of the application's part in its group. */
interface Part {
  readonly config: ResolvedConfig | undefined;
  readonly decision: Decision | undefined;
  readonly engine: Engine;
  readonly logger: EngineLogger;
  readonly role: Role | undefined;
  readonly started: Promise<void> | undefined;
  readonly topics: Topics;
}

export class GroupMetrics {
  /** That of `@midwayjs/prometheus`, beside the application's own. */
  #more: MetricsRegistry | undefined;
  #defaults: DefaultRegistries | undefined;
  #tellMembers: (() => void) | undefined;
  #hasLooked = false;

  constructor(
    private readonly part: Part,
    private readonly baseDir: () => string,
  ) {}

  registries(): readonly MetricsRegistry[] {
    const own = this.#own();
    return this.#more === undefined || own.includes(this.#more) ? own : [...own, this.#more];
  }

  #own(): readonly MetricsRegistry[] {
    const given = this.part.config?.metrics.registries;
    if (given) {
      return typeof given === 'function' ? given() : given;
    }
    this.#defaults ??= new DefaultRegistries(this.#folder());
    return this.#defaults.list() as readonly MetricsRegistry[];
  }

  /**
   * Somebody wants the group's metrics. Where this process has no registry, one may be hidden in a bundle; the one that
   * answers says so, once.
   */
  scraped(): void {
    const { config, logger, role } = this.part;
    if (this.#hasLooked || role === 'worker' || config?.metrics.registries || this.registries().length > 0) {
      return;
    }
    this.#hasLooked = true;
    void bundledClient().then(file => {
      // One that was loaded meanwhile was not bundled.
      if (file !== undefined && this.registries().length === 0) {
        logger.warn(
          `[process-agent] metrics: prom-client was bundled into ${file}, where its default registry can't be found: ` +
            "the application's own metrics are missing. Name it in processAgent.metrics.registries: [register]",
        );
      }
    });
  }

  /** Takes its part in `@midwayjs/prometheus`, if the application imports that. Before the engine is there. */
  async besidePrometheus(container: ApplicationContext): Promise<void> {
    const { decision, logger, topics } = this.part;
    const tell = async (names: string[]) => {
      await this.part.started;
      await this.part.engine.publish(COUNTED, names);
    };
    const part = await joinPrometheus(container, {
      logger,
      alone: decision?.deployment === 'standalone',
      text: async (options, own) => {
        await this.part.started;
        return this.text(options, own);
      },
      // A member that has not heard it hears it when it counts itself, or with the next that joins.
      tell: names => void tell(names).catch(() => {}),
    });
    if (part?.registry) {
      this.#more = part.registry as MetricsRegistry;
      topics.subscribe(COUNTED, (names: string[]) => part.learn(names));
      this.#tellMembers = () => {
        if (part.counted.length > 0) {
          tell(part.counted).catch(() => {});
        }
      };
    }
  }

  /** A member has joined this tenure: what was published before, it may have missed. */
  tellMembers(): void {
    if (this.part.role === 'primary') {
      this.#tellMembers?.();
    }
  }

  get contentType(): string {
    return CONTENT_TYPES[this.#format()];
  }

  /** `own`: what this process says where there are no others. */
  async text(options: MetricsOptions = {}, own = () => ownText(this.registries())): Promise<string> {
    const { engine, config } = this.part;
    this.scraped();
    const configured = (config as ResolvedConfig).metrics;
    const all = await engine.scrape?.({
      format: this.#format(options.format),
      timeout: options.timeout ?? configured.timeout,
      memberLabel: options.memberLabel ?? configured.memberLabel,
    });
    return all ?? own();
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
