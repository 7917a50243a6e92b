/**
 * Asks how the group does, within a given time whatever happens: the broker's Rust side for what can be seen from
 * outside, and every member for its own checks. Who is stuck is what Rust says, not who has not answered in time.
 */
import { performance } from 'node:perf_hooks';
import type { Engine, Standing } from '../engine/engine';
import type { GroupHealth, Member } from '../interface';
import type { Membership } from '../membership';
import { healthTimeoutOf } from '../midway';
import { PREFIX } from '../prefix';
import type { CheckReport } from './checks';
import { groupHealth, memberHealth } from './verdict';

/** The name under which members ask each other for their checks. */
export const CHECKS = `${PREFIX.own}checks`;

/** How often (ms) the broker is asked again while checks are still awaited: a member may get stuck meanwhile. */
const AGAIN = 100;

export interface LookOptions {
  /** Whether the checks of this process itself are run. */
  ownChecks: boolean;
  /** Whether the first thing that fails the group is enough to know. */
  untilFailure: boolean;
}

/** The bounds (ms) of one look at the group, inside Midway's own for one check. */
export function bounds(midways: number): { whole: number; checks: number } {
  return {
    whole: Math.max(midways - 100, midways * 0.6),
    checks: Math.round(Math.max(midways - 200, midways * 0.4)),
  };
}

export class GroupCheck {
  /** What the broker said last: used while there is no primary to ask. */
  #last: Standing[] = [];

  constructor(private readonly membership: Membership) {}

  async look({ ownChecks, untilFailure }: LookOptions): Promise<GroupHealth> {
    const { engine, container, checks } = this.membership;
    const limits = bounds(healthTimeoutOf(container));
    const until = performance.now() + limits.whole;
    const answers = new Answers();
    const verdict = () => this.#verdict(engine, answers);

    if (!(await this.#refresh(engine, until)) || (untilFailure && !(await verdict()).status)) {
      return verdict();
    }
    const own = async () => {
      const report = ownChecks ? await checks.run(limits.checks) : undefined;
      // Not through an outcome: those come when all have answered.
      answers.add(engine.self, report);
    };
    engine
      .gather(CHECKS, [limits.checks], {
        timeout: Math.round(limits.whole),
        own,
        onAnswer: ({ member, ...outcome }) =>
          answers.add(member, outcome.status === 'fulfilled' ? outcome.value : undefined),
      })
      // Its primary has died, say: the broker's next answer tells.
      .catch(() => {})
      .finally(() => answers.end());
    for (;;) {
      const isFailing = untilFailure && answers.hasFailing && !(await verdict()).status;
      // Whoever is not well, or is still starting, is not waited for.
      const isComplete = this.#last.every(({ member, state }) => state !== 'ok' || answers.has(member));
      const left = until - performance.now();
      if (answers.hasEnded || isComplete || isFailing || left <= 0) {
        return verdict();
      }
      if (!(await answers.change(Math.min(AGAIN, left)))) {
        await this.#refresh(engine, until);
        if (untilFailure && !(await verdict()).status) {
          return verdict();
        }
      }
    }
  }

  /** Whether somebody has answered who can be asked more. */
  async #refresh(engine: Engine, until: number): Promise<boolean> {
    const left = Math.max(1, until - performance.now());
    try {
      this.#last = await engine.standings(left);
    } catch {
      return false;
    }
    return !this.#last.some(({ member, state }) => member.role === 'primary' && state === 'frozen');
  }

  #verdict(engine: Engine, answers: Answers): Promise<GroupHealth> {
    const self = engine.self;
    const members = this.#last.map(standing => {
      const { member, state } = standing;
      // Whoever asks this runs, though the broker may not have heard of it yet.
      const isWrong = isSame(member, self) && (state === 'stuck' || state === 'frozen');
      return memberHealth(isWrong ? { ...standing, state: 'ok' } : standing, answers.of(member));
    });
    return groupHealth(this.membership.settings.health, members, engine.leaderlessFor);
  }
}

/** What the members say of themselves, as it comes. */
class Answers {
  readonly #reports = new Map<string, CheckReport | undefined>();
  #whenChanged: (() => void) | undefined;
  #hasChanged = false;
  hasEnded = false;
  hasFailing = false;

  add(member: Member | undefined, said: unknown): void {
    if (member) {
      // An older version of this package says nothing, or something else.
      const report = Array.isArray((said as Partial<CheckReport> | undefined)?.checks)
        ? (said as CheckReport)
        : undefined;
      this.#reports.set(keyOf(member), report);
      this.hasFailing ||= report?.checks.some(({ status }) => !status) ?? false;
    }
    this.#change();
  }

  end(): void {
    this.hasEnded = true;
    this.#change();
  }

  has(member: Member): boolean {
    return this.#reports.has(keyOf(member));
  }

  of(member: Member): CheckReport | undefined {
    return this.#reports.get(keyOf(member));
  }

  /** Waits for something that was not seen yet, at the most for `ms`; whether there was anything. */
  async change(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    if (!this.#hasChanged) {
      await new Promise<void>(resolve => {
        timer = setTimeout(resolve, Math.max(0, ms));
        this.#whenChanged = resolve;
      });
    }
    clearTimeout(timer);
    const changed = this.#hasChanged;
    this.#hasChanged = false;
    return changed;
  }

  #change(): void {
    this.#hasChanged = true;
    this.#whenChanged?.();
  }
}

function keyOf({ pid, threadId }: Member): string {
  return `${pid}/${threadId}`;
}

function isSame(member: Member, other: Member | undefined): boolean {
  return other !== undefined && keyOf(member) === keyOf(other);
}
