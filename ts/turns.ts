/** How many turns of the event loop a connection needs at most until its request has reached the application. */
const TO_A_REQUEST = 5;

/** Resolves when the event loop has had some turns, in each of which it has looked for what the operating system has. */
export async function turns(): Promise<void> {
  for (let i = 0; i < TO_A_REQUEST; i++) {
    await new Promise(resolve => setImmediate(resolve));
  }
}
