/** What went wrong, said once each, so that a scrape every second does not fill a log. */

/** Names come from the application, which may make them up without end. */
const MAX_KNOWN = 1_000;

export class Problems {
  readonly #known = new Set<string>();
  #news: string[] = [];

  /** `key` names the problem; `text` may say more, and differently each time. */
  add(key: string, text: string): void {
    if (!this.#known.has(key) && this.#known.size < MAX_KNOWN) {
      this.#known.add(key);
      this.#news.push(text);
    }
  }

  /** Those that nobody has been told of. */
  take(): string[] {
    const news = this.#news;
    if (news.length > 0) {
      this.#news = [];
    }
    return news;
  }
}

/** What an error says, in one line; whatever was thrown. */
export function reasonOf(error: unknown): string {
  try {
    const message = error instanceof Error ? error.message : String(error);
    return message.split('\n', 1)[0].slice(0, 200);
  } catch {
    return 'something was thrown that is no error';
  }
}
