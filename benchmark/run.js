// This package beside its peers. Prints what it measures, and writes RESULTS.md, results.json and the pictures in docs/.
//   npm run bench                                    everything: about 12 minutes
//   npm run bench -- --only=latency,workers          some workloads (workloads.js) or parts (anatomy, app, million)
//   npm run bench -- --peers=agent,send --rounds=3   some peers (peers/)
// A part that is not measured as a whole is printed and not written; nor is anything with --no-write.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { pack } = require('../scripts/pack');
const { setup } = require('../scripts/setup');
const { measureAnatomy } = require('./anatomy');
const { measureCalls } = require('./calls');
const { floodWithMillion } = require('./flood');
const { checkOptions, has, names, number } = require('./options');
const { loadPeers } = require('./peers');
const { report, writeReport } = require('./report');
const { circumstances, mediansOf, saveSection } = require('./results');
const { measureApplication } = require('./whole-app');
const { others, workloads } = require('./workloads');

const IDLE_SECONDS = 12;
/** What is no comparison of calls: a section of its own in the results. */
const parts = { anatomy: measureAnatomy, app: measureApplication, million: floodWithMillion };

async function main() {
  checkOptions(['rounds', 'duration', 'peers', 'only', 'no-write']);
  const known = [...workloads, ...others].map(({ id }) => id).concat(Object.keys(parts));
  const only = names('only');
  const unknown = only?.filter(id => !known.includes(id)) ?? [];
  if (unknown.length > 0) {
    throw new Error(`--only does not know ${unknown.join(', ')}; there are ${known.join(', ')}`);
  }
  const isWanted = id => !only || only.includes(id);
  setup();
  const tarballs = pack();
  const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-'));
  const sections = {};
  try {
    if ([...workloads, ...others].some(({ id }) => isWanted(id))) {
      sections.calls = await callsSection(isWanted, tarballs, temporary);
    }
    for (const [name, measure] of Object.entries(parts)) {
      if (isWanted(name)) {
        sections[name] = { ...circumstances(), ...(await measure({ tarballs, temporary })) };
      }
    }
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
  finish(sections, isWanted);
}

async function callsSection(isWanted, tarballs, temporary) {
  const settings = { rounds: number('rounds', 7), duration: number('duration', 400) };
  const contenders = await measureCalls(
    loadPeers(names('peers')),
    workloads.filter(({ id }) => isWanted(id)),
    {
      ...settings,
      idleSeconds: isWanted('idle') ? IDLE_SECONDS : 0,
      local: isWanted('local'),
      tarballs,
      temporary,
    },
  );
  const peers = contenders.map(({ peer, results, reasons }) => ({
    id: peer.id,
    name: peer.name,
    isLimit: peer.isLimit,
    medians: mediansOf(results, [...workloads, ...others]),
    reasons,
  }));
  return { ...circumstances(), ...settings, peers };
}

/** Prints all that was measured, and keeps what was measured as a whole. */
function finish(sections, isWanted) {
  console.log(`\n${report(sections)}`);
  const isWhole = name =>
    name !== 'calls' || (!has('peers') && [...workloads, ...others].every(({ id }) => isWanted(id)));
  const kept = has('no-write') ? [] : Object.keys(sections).filter(isWhole);
  for (const name of kept) {
    saveSection(name, sections[name]);
  }
  if (kept.length > 0) {
    writeReport();
  }
  console.log(`Took ${(performance.now() / 60_000).toFixed(1)} minutes.`);
  console.log(kept.length > 0 ? `Written: ${kept.join(', ')}` : 'Not written: only parts were measured');
}

main().catch(error => {
  console.error(error);
  process.exitCode = 1;
});
