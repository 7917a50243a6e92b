/** The same list for another round: each comes first once in a while. */
function turnsOf(list, round) {
  return list.map((_, i) => list[(i + round) % list.length]);
}

module.exports = { turnsOf };
