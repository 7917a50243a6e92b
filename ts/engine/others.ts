/**
 * The other members of the group. Ids are of one tenure, a process is the same in all: who joins the next tenure, too,
 * is no news, and who does not has left.
 */
import type { AgentEvents, Member } from '../interface';

/** How long (ms) the members of a tenure may take to join the next one. As `src/ipc/deaths.rs` has it. */
const REJOIN = 2_000;

type News = 'member-joined' | 'member-left';

export class Others {
  /** Of this tenure, as far as it has told. */
  readonly #here = new Map<number, Member>();
  /** Those as well that have not joined this tenure yet. */
  readonly #group = new Map<string, Member>();
  readonly #untold: [News, Member][] = [];
  /** There is no role in this tenure yet: who hears of the others would take it for that of the last one. */
  #isSilent = false;
  /** Whom this process has found in the group is no news. */
  #isFirst = true;
  #timer: NodeJS.Timeout | undefined;
  #asked = false;

  constructor(
    private readonly emit: (event: News, ...payload: AgentEvents[News]) => void,
    /** Asks for something that the Rust side answers when it has told who has joined so far; `settle()` is the answer. */
    private readonly ask: () => void,
  ) {}

  /** In this tenure. */
  get(id: number): Member | undefined {
    return this.#here.get(id);
  }

  /** Whether one of this tenure would lead the next one. */
  get hasCandidate(): boolean {
    return [...this.#here.values()].some(member => member.candidate && member.state !== 'leaving');
  }

  /** A tenure begins with these members. Nothing of it is told before `tell()`. */
  enter(members: Member[], dead: Member[]): void {
    this.pause();
    this.#here.clear();
    this.#isSilent = true;
    for (const member of dead) {
      this.#lose(member);
    }
    for (const member of members) {
      this.#add(member, !this.#isFirst);
    }
    this.#isFirst = false;
    if (this.#missing().length > 0) {
      this.#timer = setTimeout(() => {
        // Not now: if this event loop was stuck, there is still to be heard who has joined.
        this.#asked = true;
        this.ask();
      }, REJOIN).unref();
    }
  }

  /** This process has its role in the tenure. */
  tell(): void {
    this.#isSilent = false;
    for (const [event, member] of this.#untold.splice(0)) {
      this.emit(event, member);
    }
  }

  join(member: Member): void {
    this.#add(member, true);
    this.#tellSoon();
  }

  leave(member: Member): void {
    this.#here.delete(member.id);
    // Else it has joined again under another id, before the end of its old connection was seen.
    if (this.#group.get(keyOf(member))?.id === member.id) {
      this.#lose(member);
      this.#tellSoon();
    }
  }

  setState(id: number, state: Member['state']): void {
    const member = this.#here.get(id);
    if (member) {
      member.state = state;
    }
  }

  /** The answer to `ask()`. */
  settle(): void {
    if (this.#asked) {
      this.#asked = false;
      for (const member of this.#missing()) {
        this.#lose(member);
      }
      this.#tellSoon();
    }
  }

  /** The tenure has ended, or this process leaves. */
  pause(): void {
    clearTimeout(this.#timer);
    this.#asked = false;
  }

  #add(member: Member, isNews: boolean): void {
    const key = keyOf(member);
    if (isNews && !this.#group.has(key)) {
      this.#untold.push(['member-joined', member]);
    }
    this.#group.set(key, member);
    this.#here.set(member.id, member);
  }

  #lose(member: Member): void {
    if (this.#group.delete(keyOf(member))) {
      this.#untold.push(['member-left', member]);
    }
  }

  /** Who has not joined this tenure. */
  #missing(): Member[] {
    return [...this.#group.values()].filter(member => this.#here.get(member.id) !== member);
  }

  #tellSoon(): void {
    if (!this.#isSilent) {
      this.tell();
    }
  }
}

function keyOf({ pid, threadId, startedAt }: Member): string {
  return `${pid} ${threadId} ${startedAt}`;
}
