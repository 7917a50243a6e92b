/** The mark of a build in a name between processes: `t~0123456789.add`. See made-names.ts. */

export const MARK_LENGTH = 10;
const MARK = new RegExp(`~[0-9a-f]{${MARK_LENGTH}}(?=[.@^]|$)`);

/** A mark as it stands behind a class's name. */
export function marked(mark: string): string {
  return `~${mark}`;
}

export function hasMark(name: string): boolean {
  return MARK.test(name);
}

export function withoutMark(name: string): string {
  return name.replace(MARK, '');
}
