import { WhenIdle } from '../ts/when-idle';

/** Whether it has resolved after the promises that can. */
async function isSettled(promise: Promise<void>): Promise<boolean> {
  return Promise.race([promise.then(() => true), new Promise<boolean>(resolve => setImmediate(resolve, false))]);
}

describe('waiting until nothing is under way', () => {
  let busy: boolean;
  let idle: WhenIdle;
  beforeEach(() => {
    busy = true;
    idle = new WhenIdle(() => busy);
  });

  it('ends at once where nothing is, or no time is given', async () => {
    expect(await isSettled(idle.wait(0))).toBe(true);
    expect(await isSettled(idle.wait(-5))).toBe(true);
    busy = false;
    expect(await isSettled(idle.wait(60_000))).toBe(true);
  });

  it('ends for all who wait, and whoever comes later waits again', async () => {
    const [one, other] = [idle.wait(60_000), idle.wait(60_000)];
    expect(await isSettled(one)).toBe(false);
    idle.tell();
    await Promise.all([one, other]);
    const later = idle.wait(60_000);
    expect(await isSettled(later)).toBe(false);
    idle.tell();
    await later;
  });

  it('ends for each when its own time is up', async () => {
    const patient = idle.wait(60_000);
    await idle.wait(5);
    expect(await isSettled(patient)).toBe(false);
    idle.tell();
    await patient;
  });

  it('leaves no timer behind', async () => {
    const before = process.getActiveResourcesInfo().filter(name => name === 'Timeout').length;
    const waits = [idle.wait(60_000), idle.wait(60_000)];
    idle.tell();
    await Promise.all(waits);
    expect(process.getActiveResourcesInfo().filter(name => name === 'Timeout')).toHaveLength(before);
  });
});
