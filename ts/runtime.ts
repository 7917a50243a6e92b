/** Which JavaScript runtime this process is, by what it says of itself. */

export interface Runtime {
  /** As people write it. */
  name: string;
  /** Name and version. */
  title: string;
  /** It is Node. Others export functions of libuv's names that end the process when they are called. */
  hasLibuv: boolean;
}

export function runtimeOf({ versions, release }: Pick<NodeJS.Process, 'versions' | 'release'>): Runtime {
  for (const [name, version] of [
    ['Bun', versions.bun],
    ['Deno', versions.deno],
  ]) {
    if (name && version) {
      return { name, title: `${name} ${version}`, hasLibuv: false };
    }
  }
  const isNode = release?.name === 'node' && versions.uv !== undefined;
  const name = isNode ? 'Node' : (release?.name ?? 'this runtime');
  return { name, title: `${name} v${versions.node}`, hasLibuv: isNode };
}

export const runtime: Runtime = runtimeOf(process);
