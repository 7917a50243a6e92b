/** Whether an array has nothing but its elements. Holes may be among them; they are found by reading them. */
export function isPlainArray(value: unknown[]): boolean {
  return (
    Object.getPrototypeOf(value) === Array.prototype &&
    // What regular expressions match, for one, is an array with more than its elements.
    Object.keys(value).length === value.length
  );
}
