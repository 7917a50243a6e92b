export interface Thrown {
  name: string;
  make(): unknown;
  arrives(): unknown;
}
export const thrown: Thrown[];
/** What can't be sent, and the reason that the error gives. */
export const untold: { name: string; make(): unknown; reason: string }[];
/** An error with requests, sockets and functions in it. */
export function axios(): Error;
/** How often the constructor of OrderError ran. */
export const constructed: { count: number };
export const OrderError: new (order: { id: number }) => Error;
