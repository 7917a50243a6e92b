/** Writes this process's snapshot under a name into the folder that take.js waits at. */
const fs = require('node:fs');
const path = require('node:path');
const { takeSnapshot } = require('./snapshot.js');

exports.take = function take(name) {
  const file = path.join(process.env.SNAPSHOTS, `${name}.json`);
  // Renamed into place, so that nobody reads half of it.
  fs.writeFileSync(`${file}.part`, JSON.stringify(takeSnapshot()));
  fs.renameSync(`${file}.part`, file);
};

/** Stays alive until it is told to end. */
exports.stay = function stay() {
  setInterval(() => {}, 1000);
};
