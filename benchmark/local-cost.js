// What the decorator costs where the method runs in the calling process: in the primary.

/** Nanoseconds of an awaited call through the decorator and without it; the medians of some turns. */
async function localCost({ decorated, bare }, { calls, turns }) {
  const times = { decorated: [], bare: [] };
  for (let turn = 0; turn <= turns; turn++) {
    for (const [name, method] of Object.entries({ decorated, bare })) {
      const begin = process.hrtime.bigint();
      for (let i = 0; i < calls; i++) {
        await method(i);
      }
      const time = Number(process.hrtime.bigint() - begin) / calls;
      // The first turn only warms up.
      if (turn > 0) {
        times[name].push(time);
      }
    }
  }
  const median = list => list.sort((a, b) => a - b)[list.length >> 1];
  return { decorated: median(times.decorated), bare: median(times.bare) };
}

module.exports = { localCost };
