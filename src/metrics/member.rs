//! A member's last snapshot, and what its numbers count for.
//!
//! A process's counters can begin anew while it lives: its registry is reset, or a histogram is made again. Where a
//! count is smaller than in the snapshot before, what it was is carried on, and with it the whole histogram or summary
//! that it belongs to, so that its parts go on fitting together. A series that the process has removed leaves its
//! count in the totals. (A reset that is not seen, because the count has grown beyond its last before the next
//! snapshot, is lost, as it is for Prometheus itself.)

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::metrics::binding::{Binding, Column, Group};
use crate::metrics::catalog::Catalog;
use crate::metrics::model::Exemplar;
use crate::metrics::schema::SchemaId;
use crate::metrics::snapshot::Snapshot;
use crate::metrics::totals::{Legacy, Totals};

/// One life of one part of an application: what tells a process that has come back from one that has joined again.
/// Member ids don't: each time of joining gives another. Sorted by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Incarnation {
    /// When the process started (ms since 1970).
    pub started_at: u64,
    /// Its pid.
    pub pid: u32,
    /// The worker thread's id; 0 for a main thread.
    pub thread: u32,
    /// Which of the thread's applications, if there are several: 0 for the first.
    pub application: u32,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Member {
    /// What the `member` label says.
    pub name: String,
    /// A small number that no other member has, for those who want that in the label.
    pub slot: u32,
    /// The schema of `values`; `None` before the first snapshot.
    pub schema: Option<SchemaId>,
    /// A schema that was announced, and whose snapshots have not come yet.
    pub announced: Option<SchemaId>,
    /// Of the last snapshot.
    pub sequence: u64,
    /// When the snapshot was taken.
    pub time_ms: u64,
    /// By column, as they came.
    pub values: Vec<f64>,
    /// By column: what to add, for counts of earlier; empty where there is nothing to add.
    pub carried: Vec<f64>,
    /// By column: `values` and `carried`; empty where `carried` is.
    pub effective: Vec<f64>,
    /// By column, when it changed (see `rule`); empty where that doesn't count.
    pub changed: Vec<u64>,
    /// Of the last snapshot, by column.
    pub exemplars: Vec<(usize, Exemplar)>,
    /// Known only from an adopted state, since then.
    pub adopted_at: Option<u64>,
    /// What was wrong with the last that came from it.
    pub fault: Option<String>,
}

impl Member {
    /// By column, what it counts for.
    pub fn counts(&self) -> &[f64] {
        if self.carried.is_empty() {
            &self.values
        } else {
            &self.effective
        }
    }

    /// What it would leave behind.
    pub fn legacy<'a>(&'a self, binding: &'a Binding) -> Legacy<'a> {
        Legacy { binding, values: self.counts(), changed: &self.changed }
    }

    /// Takes a snapshot of the same schema that fits it. What it says in `echoes`, another thread counts.
    pub fn advance(&mut self, snapshot: Snapshot, binding: &Binding, echoes: &[Column]) {
        let mut values = snapshot.values;
        let held: Vec<_> = echoes.iter().map(|column| finite(self.counts()[*column as usize])).collect();
        for group in &binding.groups {
            // A count that is no number counts nothing new.
            for column in group.counts.iter().map(|column| *column as usize) {
                if !values[column].is_finite() {
                    values[column] = finite(self.values[column]);
                }
            }
            if began_anew(group, &self.values, &values) {
                self.carried.resize(values.len(), 0.0);
                for column in group.columns() {
                    self.carried[column] += finite(self.values[column]);
                }
            }
        }
        self.note_changes(&values, snapshot.time_ms, binding.timed);
        for (column, held) in echoes.iter().map(|column| *column as usize).zip(held) {
            self.carried.resize(values.len(), 0.0);
            self.carried[column] = held - values[column];
        }
        self.values = values;
        self.sequence = snapshot.sequence;
        self.time_ms = snapshot.time_ms;
        self.exemplars = snapshot.exemplars;
        self.fault = None;
        self.weigh();
    }

    /// Goes over to another schema: what is in both goes on, and of what is not, what stays goes into the totals.
    pub fn switch(&mut self, catalog: &Catalog, old: &Binding, new: &Binding, totals: &mut Totals) {
        let columns: HashMap<_, _> =
            new.rows.iter().enumerate().map(|(column, row)| (*row, column)).collect();
        let mut lost: Vec<bool> = old.rows.iter().map(|row| !columns.contains_key(row)).collect();
        let mut sizes = HashMap::new();
        for group in &new.groups {
            let size = group.columns().count();
            sizes.extend(group.columns().map(|column| (new.rows[column], size)));
        }
        for group in &old.groups {
            // A histogram whose buckets have changed was made anew.
            let size = group.columns().count();
            if group.columns().any(|column| sizes.get(&old.rows[column]) != Some(&size)) {
                group.columns().for_each(|column| lost[column] = true);
            }
        }
        totals.keep(catalog, self.legacy(old), |column| lost[column]);
        let kept = old.rows.iter().enumerate().filter(|(column, _)| !lost[*column]);
        let moves: Vec<_> = kept.map(|(column, row)| (column, columns[row])).collect();
        self.values = moved(&self.values, &moves, new.rows.len(), f64::NAN);
        self.carried = moved(&self.carried, &moves, new.rows.len(), 0.0);
        self.changed = moved(&self.changed, &moves, new.rows.len(), 0);
        self.exemplars.clear();
        self.schema = Some(new.schema.id());
        self.weigh();
    }

    /// Begins with a schema.
    pub fn begin(&mut self, binding: &Binding) {
        self.schema = Some(binding.schema.id());
        self.values = vec![f64::NAN; binding.rows.len()];
    }

    /// Comes back, after what it had counted was retained: only what it has counted since counts.
    pub fn come_back(&mut self, catalog: &Catalog, binding: &Binding) {
        self.carried = vec![0.0; self.values.len()];
        for (column, row) in binding.rows.iter().enumerate() {
            if catalog.rule(*row).is_total() {
                self.carried[column] = -finite(self.values[column]);
            }
        }
        self.weigh();
    }

    /// The last snapshot was given as what it counts for, these values and what was carried; from now on, apart.
    pub fn rebase(&mut self, values: &[f64], carried: &[f64]) {
        values.clone_into(&mut self.values);
        if !carried.is_empty() {
            self.carried.resize(values.len(), 0.0);
            for (own, more) in self.carried.iter_mut().zip(carried) {
                *own += more;
            }
        }
        self.weigh();
    }

    /// Makes `effective` anew.
    pub fn weigh(&mut self) {
        self.effective.clear();
        self.effective.extend(self.values.iter().zip(&self.carried).map(|(value, carried)| value + carried));
    }

    fn note_changes(&mut self, values: &[f64], time_ms: u64, timed: bool) {
        if !timed {
            self.changed.clear();
            return;
        }
        self.changed.resize(values.len(), 0);
        for ((changed, new), old) in self.changed.iter_mut().zip(values).zip(&self.values) {
            let first = old.is_nan() && *changed == 0;
            if (first && *new != 0.0) || (!first && new.to_bits() != old.to_bits()) {
                *changed = time_ms;
            }
        }
    }
}

/// Some count has fallen, or a sum has changed though nothing was observed. That a sum falls says nothing by itself:
/// something negative may have been observed.
fn began_anew(group: &Group, old: &[f64], new: &[f64]) -> bool {
    let mut observed = false;
    for column in group.counts.iter().map(|column| *column as usize) {
        if new[column] < old[column] {
            return true;
        }
        observed |= new[column] > old[column];
    }
    !observed && group.sums.iter().map(|column| *column as usize).any(|column| new[column] < old[column])
}

fn finite(value: f64) -> f64 {
    if value.is_finite() {
        value
    } else {
        0.0
    }
}

fn moved<T: Copy>(from: &[T], moves: &[(usize, usize)], length: usize, empty: T) -> Vec<T> {
    if from.is_empty() {
        return Vec::new();
    }
    let mut to = vec![empty; length];
    for (old, new) in moves {
        to[*new] = from[*old];
    }
    to
}
