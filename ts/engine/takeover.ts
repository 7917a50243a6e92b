/** What a primary leaves for the next one, and how a new one takes it over before it answers anything. */
import { decode, type Encoded, encode } from '../codec';
import { MAX_TIMER_MS } from '../options';
import type { EngineHost } from './engine';

/** How long (ms) after its time is up the application may say what it has by then. */
const LAST_MOMENT = 50;

/**
 * What the application wants the next primary to know. What can't be sent, or is not there within `ms`, is logged: the
 * stop goes on.
 */
export async function stateToLeave(host: EngineHost, ms: number): Promise<Encoded | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`it was not there within ${ms} ms (processAgent.stopTimeout)`)),
      Math.min(ms + LAST_MOMENT, MAX_TIMER_MS),
    );
  });
  try {
    const state = await Promise.race([host.giveUp(ms), late]);
    return state === undefined ? undefined : encode(state, 'state');
  } catch (error) {
    host.logger.error('[process-agent] the state for the next primary is lost', error);
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** Lets the application do what it does before it is primary, and then calls `become`: at once if it can. */
export function takeOver(host: EngineHost, state: Encoded | undefined, epoch: number, become: () => void): void {
  const failed = (error: unknown) =>
    host.logger.error('[process-agent] what the previous primary has left could not be taken over', error);
  let left: unknown;
  try {
    left = state === undefined ? undefined : decode(state);
  } catch (error) {
    // Written by another version of V8, for one. The application still has to know that it is primary.
    failed(error);
  }
  let taken: unknown;
  try {
    taken = host.takeOver(left, epoch);
  } catch (error) {
    failed(error);
  }
  if (taken instanceof Promise) {
    taken.catch(failed).then(become);
  } else {
    become();
  }
}
