/** What must hold over the journals of all processes of a chaos test, whatever was done to them. */

/** How much later (ms) than its deadline something may end, on a machine that is busy with the chaos. */
const SLACK = 1000;
/** How much too early (ms) a timer of Node may fire. */
const EARLY = 20;
/** For so long (ms) after its trouble a process, and what others know of it, is not taken for well. */
const RECOVERY = 5000;
/** How long (ms) the load waits for the metrics of all. */
const SCRAPE_TIMEOUT = 3000;
/** Events that no member may notice: others' calls are answered as ever. */
const HARMLESS = new Set(['clock', 'disk']);
const ENDED_BY_CALLER = new Set(['ERR_AGENT_TIMEOUT', 'ERR_AGENT_ABORTED', 'ERR_AGENT_CLOSED']);

/**
 * `members`: `{ number, pid, killed, killedAt, calm, records }` each; `killed` when it was not let to come to an end by
 * itself, so that its calls may have no outcome; `calm` when it was never killed, frozen, stuck or starved; `troubles`:
 * what was done to it, and when, `{ what, from, to }`, if that is known. `events`: what may have been done to them at all; some things must
 * hold only where others cannot have happened.
 * Returns violations (`{ what, detail }`), and every call by its id, for counting.
 */
function check(members, { events = ['kill', 'stop', 'freeze', 'stuck'] } = {}) {
  const violations = [];
  const violate = (what, detail) => violations.push({ what, detail });
  const calls = collect(members, violate);
  const calm = new Set(members.filter(each => each.calm).map(each => each.number));
  const starved = new Set(members.filter(each => troublesOf(each, 'starve').length > 0).map(each => each.number));
  for (const call of calls.values()) {
    checkCall(call, starved, violate);
    checkReplied(call, calm, events, violate);
  }
  if (!events.some(event => event === 'freeze' || event === 'stuck' || event === 'starve')) {
    checkIdempotent(calls, members, violate);
  }
  checkEpochs(members, events, violate);
  checkTenures(members, events, violate);
  checkGathers(members, starved, violate);
  checkPublications(members, violate);
  checkWell(members, violate);
  if (events.every(event => HARMLESS.has(event))) {
    checkUndisturbed(members, violate);
  }
  if (!events.includes('disk')) {
    for (const { number, records } of members) {
      for (const record of records.filter(({ is }) => is === 'full')) {
        violate('a disk was full that was not filled', { member: number, record });
      }
    }
  }
  return { violations, calls };
}

/** Every call with what is known of it: `{ id, made, settled: [], ran: [{ ..., member }], exempt }`. */
function collect(members, violate) {
  const calls = new Map();
  const of = id => {
    let call = calls.get(id);
    if (!call) {
      call = { id, made: undefined, settled: [], ran: [], exempt: false };
      calls.set(id, call);
    }
    return call;
  };
  const killed = new Set(members.filter(each => each.killed).map(each => String(each.number)));
  for (const member of members) {
    for (const record of member.records) {
      switch (record.is) {
        case 'made':
          if (of(record.id).made) {
            violate('two calls have one id', record);
          }
          of(record.id).made = record;
          break;
        case 'settled':
          of(record.id).settled.push(record);
          break;
        case 'ran':
          of(record.id).ran.push({ ...record, member: member.number });
          break;
        case 'broken':
          violate('a process has seen something wrong', { member: member.number, ...record });
          break;
        case 'end':
          if (record.pending > 0) {
            violate('something is pending after close()', { member: member.number, ...record });
          }
          break;
      }
    }
    if (!member.killed && member.records.at(-1)?.is !== 'end') {
      violate('a process that was not killed has not come to its end', { member: member.number, pid: member.pid });
    }
  }
  for (const call of calls.values()) {
    call.exempt = killed.has(call.id.split('.')[0]);
  }
  return calls;
}

/** `starved`: the numbers of those that may be late themselves. */
function checkCall(call, starved, violate) {
  const { id, made, settled, ran, exempt } = call;
  if (!made) {
    if (!exempt) {
      violate('something was executed or settled that was never called', call);
    }
    return;
  }
  if (settled.length === 0 && !exempt) {
    violate('a call has no outcome', call);
  }
  if (settled.length > 1) {
    violate('a call has two outcomes', call);
  }
  if (ran.length > (made.idempotent ? 2 : 1)) {
    const epochs = new Set(ran.map(each => each.epoch));
    violate(epochs.size < ran.length ? 'a call was executed twice in one epoch' : 'a call was executed twice', call);
  }
  for (const { how, code, right, by, epoch, late, at } of settled) {
    switch (how) {
      case 'resolved':
        if (!ran.some(each => each.member === by && each.epoch === epoch)) {
          violate('a call has resolved and was not executed by whom it says', call);
        }
        break;
      case 'thrown':
      case 'executed':
        if (ran.length === 0) {
          violate(`a call has ended with '${how}' and was not executed`, call);
        }
        break;
      case 'not-sent':
        if (ran.length > 0) {
          violate("a call has ended with 'not-sent' and was executed", call);
        }
        break;
      case 'unknown':
        break;
      default:
        violate('a call has failed without a word on whether it ran', call);
    }
    if ((how === 'resolved' || how === 'thrown') && !right) {
      violate('a call has given a wrong value or error', call);
    }
    if (late > SLACK && !starved.has(Number(id.split('.')[0]))) {
      violate(`a call has ended ${Math.round(late)} ms after its timeout or abort`, { id, made, settled });
    }
    const early = made.limit - (at - made.at);
    if (code === 'ERR_AGENT_TIMEOUT' && early > EARLY) {
      violate(`a call has ended ${Math.round(early)} ms before its timeout`, { id, made, settled });
    }
  }
}

/** A primary that stops in good order answers what it has accepted: all methods are much shorter than stopTimeout. */
function checkReplied(call, calm, events, violate) {
  const { id, made, settled, ran } = call;
  if (!made || isNested(made) || !settled.some(isLost)) {
    return;
  }
  if (ran.length === 1 && calm.has(ran[0].member) && calm.has(Number(id.split('.')[0]))) {
    violate('a primary that has stopped in good order has not answered what it had accepted', call);
  } else if (events.every(event => event === 'stop')) {
    violate('a call was lost, though every primary has stopped in good order', call);
  }
}

/** An idempotent call is sent again when its primary dies, so that it takes two deaths to make it fail. */
function checkIdempotent(calls, members, violate) {
  const deaths = members
    .filter(({ killed, records }) => killed && records.some(({ is }) => is === 'primary'))
    .map(({ killedAt }) => killedAt);
  for (const call of calls.values()) {
    const { made, settled } = call;
    for (const outcome of settled) {
      if (made?.idempotent && !isNested(made) && isLost(outcome)) {
        // The kernel takes a moment to end a process.
        const [from, to] = [made.at - 100, outcome.at];
        if (deaths.filter(at => from < at && at < to).length < 2) {
          violate('an idempotent call has failed, though at most one primary has died', call);
        }
      }
    }
  }
}

/** It takes as long as another call or gather does, in whatever state the others are. */
function isNested({ kind }) {
  return kind.startsWith('nested');
}

function isLost({ how, code }) {
  return how === 'unknown' && !ENDED_BY_CALLER.has(code);
}

/** An epoch belongs to one process, and ends before the next one begins. */
function checkEpochs(members, events, violate) {
  const owners = new Map();
  const first = new Map();
  const last = new Map();
  for (const { number, records } of members) {
    for (const record of records) {
      const { is, epoch, at } = record;
      if (is !== 'ran' && is !== 'primary' && is !== 'taking' && is !== 'gave') {
        continue;
      }
      const owner = owners.get(epoch);
      if (owner === undefined) {
        owners.set(epoch, number);
      } else if (owner !== number) {
        violate('two processes act in one epoch', { epoch, members: [owner, number], record });
      }
      if (is === 'ran') {
        first.set(epoch, Math.min(first.get(epoch) ?? Infinity, at));
        last.set(epoch, Math.max(last.get(epoch) ?? 0, at));
      }
    }
  }
  if (owners.size > 1 && events.every(event => event === 'freeze')) {
    violate('a frozen primary was relieved', { epochs: [...owners] });
  }
  const epochs = [...first.keys()].sort((a, b) => a - b);
  // Only who was relieved while it was stuck, or had too little of a CPU, goes on for a moment beside the next one.
  const relieves = events.includes('stuck') || events.includes('starve');
  for (let i = 1; i < epochs.length && !relieves; i++) {
    const [before, after] = [epochs[i - 1], epochs[i]];
    if (last.get(before) > first.get(after)) {
      const ms = last.get(before) - first.get(after);
      violate('a primary has gone on after the next one had begun', { before, after, ms });
    }
  }
}

/** What one process does in its tenure: it takes over, answers, gives up, and answers no more. */
function checkTenures(members, events, violate) {
  const records = members.flatMap(each => each.records);
  const given = new Set(records.filter(({ is }) => is === 'gave').map(({ epoch }) => epoch));
  const inherited = new Set(records.filter(({ is }) => is === 'taking').map(({ from }) => from));
  const latest = Math.max(...records.filter(({ is }) => is === 'taking').map(({ epoch }) => epoch));
  for (const epoch of given) {
    // Who is to take it over may be killed just then; and nobody comes after the last one.
    if (epoch < latest && !inherited.has(epoch) && events.every(event => event === 'stop')) {
      violate('a state was given that nobody has taken over', { epoch });
    }
  }
  for (const { number, records } of members) {
    const takesOver = records.some(({ is }) => is === 'taking');
    const taken = new Set();
    const gave = new Set();
    for (const record of records) {
      const { is, epoch } = record;
      if (is === 'taking' && record.from !== undefined && !given.has(record.from)) {
        violate('a state was taken over that nobody has given', { member: number, record });
      } else if (is === 'taken') {
        taken.add(epoch);
      } else if (is === 'gave') {
        gave.add(epoch);
      } else if (is === 'ran') {
        if (takesOver && !record.here && !taken.has(epoch)) {
          violate('a primary has answered before it had taken over', { member: number, record });
        }
        if (gave.has(epoch)) {
          violate('a primary has begun something after it had given up', { member: number, record });
        }
      }
    }
  }
}

function checkGathers(members, starved, violate) {
  for (const { number, killed, records } of members) {
    const asked = new Set();
    const open = new Set();
    for (const record of records) {
      if (record.is === 'gather') {
        open.add(record.id);
      } else if (record.is === 'asked') {
        if (asked.has(record.id)) {
          violate('a member was asked twice by one gather', { member: number, record });
        }
        asked.add(record.id);
      } else if (record.is === 'gathered') {
        if (!open.delete(record.id)) {
          violate('a gather has ended twice', { member: number, record });
        }
        checkOutcomes(number, record, starved, violate);
      }
    }
    if (!killed) {
      for (const id of open) {
        violate('a gather has not ended', { member: number, id });
      }
    }
  }
}

function checkOutcomes(number, record, starved, violate) {
  const ids = record.outcomes.map(({ member }) => member);
  if (new Set(ids).size < ids.length) {
    violate('a gather has two outcomes of one member', { member: number, record });
  }
  if (ids.some((id, i) => id < ids[i - 1])) {
    violate('the outcomes of a gather are not in the order of ids', { member: number, record });
  }
  if (record.outcomes.some(({ status, right }) => status === 'fulfilled' && !right)) {
    violate('a gather has a wrong answer', { member: number, record });
  }
  if (record.late > SLACK && !starved.has(number)) {
    violate(`a gather has ended ${Math.round(record.late)} ms after its deadline`, { member: number, record });
  }
}

function checkPublications(members, violate) {
  for (const { number, killed, records } of members) {
    const last = new Map();
    const own = new Set();
    for (const record of records) {
      if (record.is === 'heard') {
        if (record.n <= (last.get(record.publisher) ?? 0)) {
          violate('publications of one member came twice, or not in order', { member: number, record });
        }
        if (!record.right) {
          violate('a publication names a wrong publisher', { member: number, record });
        }
        last.set(record.publisher, record.n);
        if (record.publisher === number) {
          own.add(record.n);
        }
      }
    }
    for (const record of records) {
      if (record.is === 'published' && record.code === undefined && !own.has(record.n) && !killed) {
        violate('a process has not heard what it has published', { member: number, record });
      }
    }
  }
}

/**
 * A process that runs is a member, and primary, for as long as it wants: it is not taken for frozen, turned out or
 * relieved, whatever its share of a CPU, its clock and its disk are. Little of a CPU may make a primary's turn too long.
 */
function checkWell(members, violate) {
  const tenures = [];
  for (const member of members) {
    for (const { is, epoch, at } of member.records) {
      if (is === 'primary') {
        tenures.push({ member, epoch, at });
      }
    }
  }
  tenures.sort((a, b) => a.epoch - b.epoch);
  const primaryOf = new Map(tenures.map(({ member, epoch }) => [epoch, member]));
  const isWell = (member, from, to, ...also) =>
    member.troubles !== undefined && !isTroubled(member, from, to, 'kill', 'stop', 'freeze', 'stuck', ...also);

  for (let i = 1; i < tenures.length; i++) {
    const [before, after] = [tenures[i - 1], tenures[i]];
    if (after.epoch === before.epoch + 1 && isWell(before.member, before.at, after.at, 'starve')) {
      violate('a primary that was well is primary no more', {
        member: before.member.number,
        epoch: before.epoch,
        next: after.member.number,
      });
    }
  }
  for (const member of members) {
    const joined = new Map();
    for (const record of member.records) {
      const { is, epoch, at } = record;
      if (is === 'worker') {
        const first = joined.get(epoch);
        const primary = primaryOf.get(epoch);
        if (first !== undefined && isWell(member, first, at) && (!primary || isWell(primary, first, at))) {
          violate('a member that was well was turned out', { member: member.number, record });
        }
        joined.set(epoch, at);
      } else if (is === 'settled' && record.code === 'ERR_AGENT_PRIMARY_FROZEN') {
        if (!members.some(each => isTroubled(each, at, at, 'freeze'))) {
          violate('a primary was taken for frozen, and nobody was', { member: member.number, record });
        }
      } else if (is === 'gathered' && record.outcomes.some(({ code }) => code === 'ERR_AGENT_TOO_LARGE')) {
        // No answer is larger than maxPayload: there was no room for it because the asker is slow.
        if (!isTroubled(member, at, at, 'freeze', 'stuck')) {
          violate('an answer was too much for a member that reads', { member: member.number, record });
        }
      }
    }
  }
}

/** Whether one of these has happened to a process between two moments, or shortly before. */
function isTroubled(member, from, to, ...kinds) {
  return troublesOf(member, ...kinds).some(trouble => trouble.from <= to && trouble.to >= from - RECOVERY);
}

function troublesOf({ troubles = [] }, ...kinds) {
  return troubles.filter(({ what }) => kinds.includes(what));
}

/** Nothing was done to the processes: all of them answer, in time. */
function checkUndisturbed(members, violate) {
  for (const { number, records } of members) {
    for (const record of records) {
      if (record.is === 'gathered' && record.outcomes.some(({ code }) => code === 'ERR_AGENT_TIMEOUT')) {
        violate('a member that was well has not answered in time', { member: number, record });
      }
      if (record.is === 'scraped' && record.took >= SCRAPE_TIMEOUT) {
        violate('a scrape has waited for its whole time, though all were well', { member: number, record });
      }
    }
  }
}

module.exports = { check, SLACK, SCRAPE_TIMEOUT };
