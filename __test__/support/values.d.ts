export interface TravellingValue {
  name: string;
  make(): unknown;
  /** What arrives. */
  arrives(): unknown;
  /** Whether it goes as text. */
  isPlain: boolean;
}
export const values: TravellingValue[];
export function beside(value: unknown): [unknown, bigint];
export function differs(index: number, arrived: unknown): string | undefined;
