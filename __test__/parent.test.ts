/** How a process knows that its parent has loaded this package. */
import type { Snapshot } from '../ts/role/decision';
import { announceToChildren, parentCarriesPackage } from '../ts/role/parent';

const VARIABLE = 'MIDWAY_PROCESS_AGENT_PRIMARY';
const { pid, ppid } = process;
const before = process.env[VARIABLE];

afterEach(() => {
  before === undefined ? delete process.env[VARIABLE] : Reflect.set(process.env, VARIABLE, before);
});

function announcedOver(inherited: string | undefined): string | undefined {
  inherited === undefined ? delete process.env[VARIABLE] : Reflect.set(process.env, VARIABLE, inherited);
  announceToChildren();
  return process.env[VARIABLE];
}

/** Seen by this process, and by a child of it, which has loaded the package or not. */
function carries(value: string): boolean {
  return parentCarriesPackage({ env: { [VARIABLE]: value }, pid, ppid } as unknown as Snapshot);
}

test('a process names itself, and its parent only if that has named itself', () => {
  expect(announcedOver(undefined)).toBe(`${pid}`);
  expect(announcedOver(`${ppid}`)).toBe(`${pid}/${ppid}`);
  expect(announcedOver(`${ppid}/77`)).toBe(`${pid}/${ppid}`);
  expect(announcedOver('77')).toBe(`${pid}`);
});

test('a second copy, or a thread with its copy of the environment, changes nothing', () => {
  expect(announcedOver(`${pid}/${ppid}`)).toBe(`${pid}/${ppid}`);
  expect(announcedOver(`${pid}`)).toBe(`${pid}`);
});

test.each([
  [`${ppid}`, true],
  [`${ppid}/77`, true],
  [`${pid}/${ppid}`, true],
  [`${pid}`, false],
  [`${pid}/77`, false],
  ['77', false],
  [`77/${ppid}`, false],
  ['', false],
])('with %s in the environment it is %s that the parent has loaded it', (value, expected) => {
  expect(carries(value)).toBe(expected);
});
