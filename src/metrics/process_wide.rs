//! What belongs to a process and not to one of its threads. Each thread of a process that collects such a metric says the
//! same of it, so it counts once for each pid:
//!
//! * A gauge counts with what the thread says whose snapshot is the newest.
//! * A counter grows with what the oldest of the threads that have it says. What the others count meanwhile is left out;
//!   when the oldest is gone, the next one's growth counts from there on. A thread that joins while another has the
//!   counter begins at 0, because what it says then is in the other's number.
//!
//! These are, of what `collectDefaultMetrics()` of prom-client 14 and 15 and of `@prometheus-io/client` collects, those
//! that it reads from `process.cpuUsage()`, `/proc/self` and `process.memoryUsage().rss`. The rest is the thread's own in
//! Node.js: the event loop, its handles and requests, and the V8 heap (`process.memoryUsage()` says so of all but `rss`).

use std::collections::{HashMap, HashSet};

use crate::metrics::binding::{Binding, Column};
use crate::metrics::catalog::{Catalog, RowId};
use crate::metrics::member::Incarnation;
use crate::metrics::merge::Part;

/// Names, and the help texts of those libraries.
const FAMILIES: [(&str, &str); 9] = [
    ("process_cpu_user_seconds_total", "Total user CPU time spent in seconds."),
    ("process_cpu_system_seconds_total", "Total system CPU time spent in seconds."),
    ("process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
    ("process_resident_memory_bytes", "Resident memory size in bytes."),
    ("process_virtual_memory_bytes", "Virtual memory size in bytes."),
    ("process_heap_bytes", "Process heap size in bytes."),
    ("process_open_fds", "Number of open file descriptors."),
    ("process_max_fds", "Maximum number of open file descriptors."),
    ("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
];

/// Whether a family is one of those: by its name, or, where a prefix was configured, by its name's end and its help.
pub fn is_process_wide(name: &str, help: &str) -> bool {
    FAMILIES.iter().any(|(known, text)| name == *known || (help == *text && name.ends_with(known)))
}

/// Columns of a member's counters that count nothing now: another thread of its process counts.
///
/// `siblings`: the other threads, with their bindings; `has_said`: whether the member has said a column before.
pub fn echoes(
    catalog: &Catalog,
    who: Incarnation,
    binding: &Binding,
    siblings: &[(Incarnation, &Binding)],
    has_said: impl Fn(RowId) -> bool,
) -> Vec<Column> {
    let is_echo = |row: RowId| {
        let said = has_said(row);
        siblings.iter().any(|(other, of)| (!said || *other < who) && of.process_rows().any(|own| own == row))
    };
    let totals = binding.process_columns.iter().copied().filter(|column| {
        let row = binding.rows[*column as usize];
        catalog.rule(row).is_total() && is_echo(row)
    });
    totals.collect()
}

/// Notes in each part what another thread of its process says for it.
pub fn silence(catalog: &Catalog, parts: &mut [Part]) {
    let mut pids = HashSet::new();
    let shared: HashSet<_> = parts.iter().map(|part| part.who.pid).filter(|pid| !pids.insert(*pid)).collect();
    if shared.is_empty() {
        return;
    }
    let mut speakers: HashMap<(u32, RowId), usize> = HashMap::new();
    for (at, part) in parts.iter().enumerate().filter(|(_, part)| shared.contains(&part.who.pid)) {
        for row in part.binding.process_rows() {
            let speaker = speakers.entry((part.who.pid, row)).or_insert(at);
            // Of a counter, the first is the one that counts.
            if !catalog.rule(row).is_total() && part.member.time_ms > parts[*speaker].member.time_ms {
                *speaker = at;
            }
        }
    }
    for (at, part) in parts.iter_mut().enumerate() {
        let is_silent = |column: &Column| {
            let row = part.binding.rows[*column as usize];
            // It may have counted before another did.
            let counts = catalog.rule(row).is_total() && part.member.counts()[*column as usize] != 0.0;
            speakers.get(&(part.who.pid, row)).is_some_and(|speaker| *speaker != at) && !counts
        };
        part.silent = part.binding.process_columns.iter().copied().filter(is_silent).collect();
    }
}
