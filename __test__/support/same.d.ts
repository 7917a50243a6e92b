export function difference(actual: unknown, expected: unknown): string | undefined;
