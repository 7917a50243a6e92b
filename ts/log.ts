/**
 * The agent's log. Whoever logs can rely on it: it never throws, and a line that the application's logger does not take
 * goes to the console. Each kind of line is limited in rate.
 */
import { now } from './clock';
import type { EngineLogger } from './engine/engine';
import { guarded, messageOf } from './guard';

export type Level = keyof EngineLogger;

/** How many lines of one kind may come at once. */
const BURST = 5;
/** How long (ms) after a line of a kind another one may come, once the burst is used up. `src/log.rs` has the same numbers. */
const INTERVAL = 10_000;
/** What comes from outside may make up kinds without end: the oldest are forgotten. */
const MAX_KINDS = 500;

interface Kind {
  /** How many lines may come now. */
  free: number;
  /** When `free` last grew, or was full. */
  since: number;
  leftOut: number;
}

/** Which lines are one kind, and how many of each may come. */
export class LineLimit {
  readonly #kinds = new Map<string, Kind>();

  /** How many lines of this kind were left out before this one; `undefined` if this one is left out, too. */
  admit(line: string, at = now()): number | undefined {
    const kind = this.#kindOf(line, at);
    const grown = Math.floor((at - kind.since) / INTERVAL);
    kind.free = Math.min(BURST, kind.free + grown);
    kind.since = kind.free === BURST ? at : kind.since + grown * INTERVAL;
    if (kind.free === 0) {
      kind.leftOut++;
      return undefined;
    }
    kind.free--;
    const { leftOut } = kind;
    kind.leftOut = 0;
    return leftOut;
  }

  #kindOf(line: string, at: number): Kind {
    const key = shapeOf(line);
    let kind = this.#kinds.get(key);
    if (!kind) {
      const [oldest] = this.#kinds.keys();
      if (this.#kinds.size >= MAX_KINDS && oldest !== undefined) {
        this.#kinds.delete(oldest);
      }
      kind = { free: BURST, since: at, leftOut: 0 };
      this.#kinds.set(key, kind);
    }
    return kind;
  }
}

/** Lines that differ in numbers only are of one kind: pids, ports, times. */
function shapeOf(line: string): string {
  return line.slice(0, 300).replace(/\d+/g, '0');
}

export class AgentLog implements EngineLogger {
  readonly #limit = new LineLimit();
  #complained = false;

  constructor(
    /** The application's logger. May throw, and so may what it gives. */
    private readonly logger: () => EngineLogger,
  ) {}

  debug(message: string, ...args: unknown[]): void {
    this.#write('debug', message, args);
  }

  info(message: string, ...args: unknown[]): void {
    this.#write('info', message, args);
  }

  warn(message: string, ...args: unknown[]): void {
    this.#write('warn', message, args);
  }

  error(message: string, ...args: unknown[]): void {
    this.#write('error', message, args);
  }

  /** A line that was limited in rate where it comes from. */
  forward(level: Level, message: string): void {
    this.#give(level, message, []);
  }

  #write(level: Level, message: string, args: unknown[]): void {
    const leftOut = this.#limit.admit(`${level} ${message}`);
    if (leftOut !== undefined) {
      const note = leftOut > 0 ? ` (${leftOut} lines of this kind were left out before it)` : '';
      this.#give(level, message + note, args);
    }
  }

  #give(level: Level, message: string, args: unknown[]): void {
    guarded(
      () => this.logger()[level](message, ...args),
      reason => this.#giveToConsole(reason, level, message, args),
    );
  }

  #giveToConsole(reason: unknown, level: Level, message: string, args: unknown[]): void {
    // An application may have put something in the console's place: there is nothing left then.
    guarded(
      () => {
        if (!this.#complained) {
          this.#complained = true;
          console.warn(
            `[process-agent] the application's logger fails, so the agent's lines are here: ${messageOf(reason)}`,
          );
        }
        if (level !== 'debug') {
          console[level](message, ...args);
        }
      },
      () => {},
    );
  }
}
