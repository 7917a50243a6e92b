export interface RefusedValue {
  name: string;
  make(): unknown;
  /** What the error says after the name of the argument or result. */
  reason: string;
}
export const refused: RefusedValue[];
