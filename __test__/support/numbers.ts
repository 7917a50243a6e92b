/** Whole numbers below what is asked for, the same in each run. */
export function numbers(seed: number): (below: number) => number {
  let state = seed;
  return below => {
    // Numerical Recipes' generator.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}
