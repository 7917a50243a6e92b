/** What a call threw, as JSON can carry it. */
export async function thrownBy(call: () => Promise<unknown>) {
  try {
    await call();
    return { nothing: true };
  } catch (error) {
    if (!(error instanceof Error)) {
      return { isError: false, value: error, type: error === null ? 'null' : typeof error };
    }
    const { name, message, code, status, outcome, detail } = error as Error & Record<string, unknown>;
    return { isError: true, isTypeError: error instanceof TypeError, name, message, code, status, outcome, detail };
  }
}
