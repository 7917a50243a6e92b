/** The group's name that a user gives, in the configuration or in the environment. */
import { ProcessAgentError } from '../errors';
import type { Snapshot } from './decision';

const MAX_LENGTH = 100;
const KEY = 'processAgent.group';
const VARIABLE = 'MIDWAY_PROCESS_AGENT_GROUP';

export interface GivenGroupName {
  name: string;
  /** The configuration key or the variable that gave it. */
  source: string;
}

/**
 * The group's name in the environment; an empty variable is none, as a shell would have it. Throws `ERR_AGENT_CONFIG`
 * for a name that is not allowed.
 */
export function groupNameInEnvironment({ env }: Snapshot): GivenGroupName | undefined {
  const name = env[VARIABLE] || undefined;
  check(VARIABLE, name);
  return name === undefined ? undefined : { name, source: VARIABLE };
}

/**
 * The group's name in the configuration and the environment, `false` when the configuration switches grouping off, or
 * `undefined` when neither says anything. Throws `ERR_AGENT_CONFIG` for a name that is not allowed, and when they
 * contradict each other.
 */
export function givenGroupName(snapshot: Snapshot): GivenGroupName | false | undefined {
  const { configuredGroup } = snapshot;
  const inEnvironment = groupNameInEnvironment(snapshot);
  if (configuredGroup === undefined) {
    return inEnvironment;
  }
  if (configuredGroup !== false) {
    check(KEY, configuredGroup);
  }
  if (inEnvironment !== undefined && inEnvironment.name !== configuredGroup) {
    throw new ProcessAgentError(
      'ERR_AGENT_CONFIG',
      configuredGroup === false
        ? `${KEY} is false and ${VARIABLE} is "${inEnvironment.name}": take one of the two away.`
        : `${KEY} is "${configuredGroup}" and ${VARIABLE} is "${inEnvironment.name}": this process can be a member of ` +
            'one group only. Give one of the two, or the same name in both.',
    );
  }
  return configuredGroup !== false && { name: configuredGroup, source: KEY };
}

function check(source: string, name: string | undefined): void {
  if (name === undefined) {
    return;
  }
  const fault = faultOf(name);
  if (fault) {
    throw new ProcessAgentError(
      'ERR_AGENT_CONFIG',
      `${source} ${fault}. Give it 1 to ${MAX_LENGTH} characters of A-Z a-z 0-9 . _ : @ -`,
    );
  }
}

/** In words, without repeating a name that may be long or hold anything. */
function faultOf(name: string): string | undefined {
  if (name.length < 1 || name.length > MAX_LENGTH) {
    return `has ${name.length} characters`;
  }
  const [character] = /[^A-Za-z0-9._:@-]/u.exec(name) ?? [];
  return character === undefined ? undefined : `holds the character ${JSON.stringify(character)}, which is not allowed`;
}
