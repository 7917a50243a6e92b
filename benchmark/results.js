// What was measured, in results.json: one section for each part of the benchmark, each with its date and machine, so that
// a part can be measured again alone.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { root } = require('../scripts/shell');

const file = path.join(__dirname, 'results.json');

function loadResults() {
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : {};
}

/** Puts one section in, or in the place of the older one. Gives back all of them. */
function saveSection(name, section) {
  const results = { ...loadResults(), [name]: section };
  fs.writeFileSync(file, JSON.stringify(results, null, 2));
  return results;
}

/** When and where a section was measured. */
function circumstances() {
  const cores = os.cpus();
  const model = cores[0].model.replace(/\s+/g, ' ').trim();
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cores.length} cores (${model}), ${os.type()} ${os.release().split('-')[0]} ${os.arch()}`,
    node: process.version,
  };
}

/** The medians of one contender's measurements: workload to column to number. */
function mediansOf(results, workloads) {
  return Object.fromEntries(
    workloads
      .filter(({ id }) => results[id]?.length > 0)
      .map(({ id, columns }) => [
        id,
        Object.fromEntries(columns.map(column => [column.id, median(results[id].map(column.of))])),
      ]),
  );
}

/** Why something is not measured, in one line, without the names of this machine's folders and hosts. */
function reasonOf(error, temporary) {
  const npmCode = /npm (?:error|ERR!) code (\S+)/.exec(error.message)?.[1];
  const line = error.message
    .split('\n')[0]
    .replaceAll(temporary, '')
    .replaceAll(root, '')
    .replace(/\b\w+:\/\/\S+/g, '(address)');
  return npmCode ? `${line} (${npmCode})` : line;
}

/** NaN when one of them is no number: of what can't be measured here. */
function median(numbers) {
  if (!numbers.every(Number.isFinite)) {
    return Number.NaN;
  }
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

module.exports = { file, loadResults, saveSection, circumstances, mediansOf, median, reasonOf };
