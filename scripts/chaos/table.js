/** The counts of a chaos test, as lines to print. */
const SHOWN = 3;

function count(members, calls, deeds) {
  const counts = {};
  const add = (name, by = 1) => {
    counts[name] = (counts[name] ?? 0) + by;
  };
  const all = [...calls.values()].filter(call => call.made);
  add('processes', members.length);
  add('calls made', all.length);
  add('  of processes that were killed', all.filter(call => call.exempt).length);
  add('  of these, without an outcome', all.filter(call => call.exempt && call.settled.length === 0).length);
  add('calls in the primary itself', all.filter(call => call.settled[0]?.here).length);
  for (const how of ['resolved', 'thrown', 'not-sent', 'unknown', 'executed', 'unsaid']) {
    const settled = all.flatMap(call => call.settled).filter(each => each.how === how);
    add(how, settled.length);
    for (const { code } of settled) {
      if (code) {
        add(`  ${how} ${code}`);
      }
    }
  }
  const ran = all.map(call => call.ran.length);
  add(
    'executions',
    ran.reduce((sum, each) => sum + each, 0),
  );
  const idempotent = all.filter(call => call.made.idempotent && !call.exempt);
  add('idempotent calls', idempotent.length);
  add('  executed twice', idempotent.filter(call => call.ran.length > 1).length);
  for (const { settled } of idempotent) {
    if (settled[0]?.how === 'unknown') {
      add(`  idempotent, and unknown ${settled[0].code}`);
    }
  }
  const records = members.flatMap(each => each.records);
  const gathered = records.filter(({ is }) => is === 'gathered');
  add('gathers', gathered.length);
  for (const { code, outcomes } of gathered) {
    if (code) {
      add(`  not gathered ${code}`);
    }
    for (const { status, code } of outcomes) {
      add(`  outcomes ${status}${code ? ` ${code}` : ''}`);
    }
  }
  const scraped = records.filter(({ is }) => is === 'scraped');
  add('scrapes', scraped.length);
  for (const { code } of scraped) {
    if (code) {
      add(`  not scraped ${code}`);
    }
  }
  add('said that the disk is full', records.filter(({ is }) => is === 'full').length);
  const published = records.filter(({ is }) => is === 'published');
  add('publications', published.length);
  for (const { code } of published) {
    if (code) {
      add(`  not published ${code}`);
    }
  }
  add('  heard', records.filter(({ is }) => is === 'heard').length);
  add('states given', records.filter(({ is }) => is === 'gave').length);
  add('  taken over', records.filter(({ is, from }) => is === 'taking' && from !== undefined).length);
  for (const [deed, times] of Object.entries(deeds)) {
    add(deed, times);
  }
  add('epochs', new Set(records.filter(({ is }) => is === 'primary').map(({ epoch }) => epoch)).size);
  return { ...counts, ...waits(all) };
}

/** How long the workers, all together, were without an answer, and the longest wait of a call; ms. */
function waits(all) {
  const answered = all
    .flatMap(call => call.settled)
    .filter(each => each.how === 'resolved' && !each.here)
    .sort((a, b) => a.at - b.at);
  let longest = 0;
  for (let i = 1; i < answered.length; i++) {
    longest = Math.max(longest, answered[i].at - answered[i - 1].at);
  }
  const slowest = answered.reduce((most, { took }) => Math.max(most, took), 0);
  return { 'longest time without an answer (ms)': longest.toFixed(0), 'slowest answer (ms)': slowest.toFixed(0) };
}

function table(counts) {
  const width = Math.max(...Object.keys(counts).map(name => name.length));
  return Object.entries(counts).map(([name, value]) => `${name.padEnd(width)}  ${String(value).padStart(8)}`);
}

/** Every kind of violation with its number, and the first few in full. */
function listViolations(violations) {
  const kinds = new Map();
  for (const { what, detail } of violations) {
    // Those with a time in them are of one kind.
    const kind = what.replace(/\d+ ms/, '... ms');
    kinds.set(kind, [...(kinds.get(kind) ?? []), `    ${JSON.stringify(detail)}`]);
  }
  return [
    `violations: ${violations.length}`,
    ...[...kinds].flatMap(([kind, details]) => [`  ${details.length} x ${kind}`, ...details.slice(0, SHOWN)]),
  ];
}

module.exports = { count, table, listViolations };
