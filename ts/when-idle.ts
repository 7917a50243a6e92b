/** Those who wait until nothing is under way any more, each for so long as it says. */
export class WhenIdle {
  readonly #waiting = new Set<() => void>();

  constructor(private readonly isBusy: () => boolean) {}

  /** Resolves when nothing is under way, or after `timeout` ms. */
  async wait(timeout: number): Promise<void> {
    if (!this.isBusy() || timeout <= 0) {
      return;
    }
    await new Promise<void>(resolve => {
      const end = () => {
        clearTimeout(timer);
        this.#waiting.delete(end);
        resolve();
      };
      const timer = setTimeout(end, timeout);
      this.#waiting.add(end);
    });
  }

  /** Nothing is under way any more. */
  tell(): void {
    for (const end of this.#waiting) {
      end();
    }
  }
}
