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
 * The configured group's name, or `undefined` when there is none; an empty variable is none, as a shell would have it.
 * Throws `ERR_AGENT_CONFIG` for a name that is not allowed, and when key and variable name different groups.
 */
export function givenGroupName({ configuredGroup, env }: Snapshot): GivenGroupName | undefined {
  const fromEnvironment = env[VARIABLE] || undefined;
  const fromConfiguration = configuredGroup;
  check(VARIABLE, fromEnvironment);
  check(KEY, fromConfiguration);
  if (fromConfiguration !== undefined && fromEnvironment !== undefined && fromConfiguration !== fromEnvironment) {
    throw new ProcessAgentError(
      'ERR_AGENT_CONFIG',
      `${KEY} is "${fromConfiguration}" and ${VARIABLE} is "${fromEnvironment}": this process can be a member of one ` +
        'group only. Give one of the two, or the same name in both.',
    );
  }
  if (fromConfiguration !== undefined) {
    return { name: fromConfiguration, source: KEY };
  }
  return fromEnvironment === undefined ? undefined : { name: fromEnvironment, source: VARIABLE };
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
