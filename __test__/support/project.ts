import * as path from 'node:path';

export type ProjectName = 'v3' | 'v4' | 'egg' | 'tools';

/** The folder of a project that `scripts/projects.js` has made. */
export function projectFolder(name: ProjectName): string {
  return path.join(__dirname, '..', '..', '.work', 'projects', name);
}
