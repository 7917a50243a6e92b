//! Everybody's numbers, row by row: additions without a look at a name.

use std::collections::HashMap;

use crate::metrics::binding::{Binding, Column};
use crate::metrics::catalog::{Catalog, RowId};
use crate::metrics::member::{Incarnation, Member};
use crate::metrics::model::Exemplar;
use crate::metrics::rule::Cell;

/// What is known of a member whose numbers count.
pub struct Part<'a> {
    pub who: Incarnation,
    pub member: &'a Member,
    /// Tells it from all others: its name, if nobody else has that.
    pub name: String,
    pub binding: &'a Binding,
    /// Columns that another thread of its process says for it: see `process_wide`.
    pub silent: Vec<Column>,
    /// Empty where none are written.
    pub exemplars: HashMap<Column, &'a Exemplar>,
}

/// Gives each part a name that no other has: member ids may repeat from one primary to the next, and series that are
/// the same but for their values would spoil the whole scrape.
pub fn tell_apart(parts: &mut [Part], taken: &str) {
    let mut holders: HashMap<&str, usize> = HashMap::from([(taken, 1)]);
    for part in parts.iter() {
        *holders.entry(&part.member.name).or_default() += 1;
    }
    for part in parts.iter_mut() {
        let name = &part.member.name;
        part.name = match holders.get(name.as_str()) {
            Some(1) => name.clone(),
            _ => format!("{name}-{}-{}", process_label(part.who), part.who.started_at),
        };
    }
}

/// The value of a `pid` label: the pid, with more only where that is not enough.
#[must_use]
pub fn process_label(who: Incarnation) -> String {
    if (who.thread, who.application) == (0, 0) {
        who.pid.to_string()
    } else {
        format!("{}-{}-{}", who.pid, who.thread, who.application)
    }
}

/// Adds everybody's numbers to what was retained.
pub fn merge(catalog: &Catalog, parts: &[Part], cells: &mut [Cell]) {
    let rules = catalog.rules();
    for (cell, rule) in cells.iter_mut().zip(rules) {
        if !rule.stays {
            *cell = Cell::default();
        }
    }
    for part in parts {
        let values = part.member.counts();
        let mut take = |row: RowId, column: usize| {
            let at = part.member.changed.get(column).copied().unwrap_or_default();
            cells[row as usize].take(rules[row as usize].op, values[column], at);
        };
        let mut from = 0;
        for until in part.silent.iter().map(|column| *column as usize).chain([part.binding.rows.len()]) {
            for (column, row) in part.binding.rows.iter().enumerate().take(until).skip(from) {
                take(*row, column);
            }
            from = until + 1;
        }
        for (column, row) in &part.binding.fills {
            take(*row, *column as usize);
        }
    }
}

/// By column.
pub fn exemplars_of(member: &Member) -> HashMap<Column, &Exemplar> {
    member
        .exemplars
        .iter()
        .filter_map(|(column, exemplar)| Some((Column::try_from(*column).ok()?, exemplar)))
        .collect()
}

/// By row, the exemplar that is newest by its own time.
pub fn newest_exemplars<'a>(parts: &[Part<'a>]) -> HashMap<RowId, &'a Exemplar> {
    let mut newest: HashMap<RowId, &Exemplar> = HashMap::new();
    for part in parts {
        for (column, exemplar) in &part.exemplars {
            let Some(row) = part.binding.rows.get(*column as usize) else { continue };
            let held = newest.entry(*row).or_insert(exemplar);
            if exemplar.timestamp >= held.timestamp {
                *held = exemplar;
            }
        }
    }
    newest
}
