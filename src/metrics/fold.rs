//! Room for the living: series that only the dead have become fewer.
//!
//! A label that has another value in each process (a pid, a host name of a container) leaves series behind with every
//! process that ends. When there is no room for a member that lives, the counts of the dead are *folded*: of a family's
//! dead series, the label that has the most values which no living member has gets the value [`GONE`] in all of them, and
//! those that are the same then are added up. So sums over that label stay what they were. If that is not enough, it is
//! done with further labels; and where nothing can be folded any more, the living go before the dead, whose counts are
//! dropped. What can't be added up goes at once: the last value of a gauge with `mostrecent`.
//!
//! [`FOLDED`] counts the series that were folded away. It is kept as a count of the dead itself.

use std::collections::{HashMap, HashSet};

use crate::metrics::catalog::{Catalog, FamilyId, RowId};
use crate::metrics::model::{Aggregator, Kind, Labels, Series, Suffix};
use crate::metrics::render::GONE;
use crate::metrics::row::Entry;
use crate::metrics::rule::{Cell, Op};
use crate::metrics::schema::{Definition, Schema};
use crate::metrics::totals::Totals;

/// Counts the series that were folded away.
pub const FOLDED: &str = "process_agent_metrics_folded_series_total";
const FOLDED_HELP: &str = "Series of members that are gone which were folded into others, to make room.";

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Of each family the label is folded that has the most values which no living member has.
    OneLabel,
    /// All labels are.
    AllLabels,
    /// Nothing is left of the dead in families that nobody has any more.
    DropFamilies,
    /// Nothing is left of the dead.
    DropAll,
}

impl How {
    /// One after the other, until there is room.
    pub const STEPS: [Self; 5] =
        [Self::OneLabel, Self::OneLabel, Self::AllLabels, Self::DropFamilies, Self::DropAll];
}

/// What was folded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// How many series there are no more.
    pub series: usize,
    /// The family that had most of them, and the label of it that differed most.
    pub most: Option<(String, String)>,
}

/// Who lives.
#[derive(Clone, Copy)]
pub(super) struct Living<'a> {
    /// Rows that somebody has.
    pub rows: &'a HashSet<RowId>,
    /// What there is to be room for.
    pub newcomer: &'a Schema,
}

impl Living<'_> {
    /// Names of labels with the values that they have in living members' series of a family.
    fn values<'a>(&'a self, catalog: &'a Catalog, family: &'a Entry) -> HashSet<(&'a str, &'a str)> {
        let rows = family.order.iter().filter(|row| self.rows.contains(row));
        let known = rows.map(|row| &catalog.row(*row).series);
        let same =
            |definition: &&Definition| definition.name() == family.name && definition.kind() == family.kind;
        let new = self.newcomer.definitions().iter().filter(same).flat_map(Definition::series);
        known.chain(new).flat_map(|series| series.labels().iter()).collect()
    }
}

/// Rows of one observation: a counter's one, or those of a histogram or summary.
type Group<'a> = &'a [RowId];

/// Folds the series that no living member has, until `enough` are gone or nothing is left to fold.
pub(super) fn fold(
    catalog: &mut Catalog,
    totals: &mut Totals,
    living: Living,
    how: How,
    enough: usize,
) -> Folded {
    let used = living.rows;
    let mut families: Vec<(FamilyId, usize)> = catalog
        .families()
        .filter(|(_, family)| family.name != FOLDED)
        .map(|(id, family)| (id, dead(catalog, totals, family, used).iter().map(|group| group.len()).sum()))
        .filter(|(_, rows)| *rows > 0)
        .collect();
    families.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
    let mut folded = Folded::default();
    let mut most = 0;
    for (id, _) in families {
        if folded.series >= enough {
            break;
        }
        let (series, label) = match how {
            How::OneLabel | How::AllLabels => fold_family(catalog, totals, id, living, how),
            How::DropFamilies | How::DropAll => (drop_dead(catalog, totals, id, used, how), None),
        };
        if series > most {
            most = series;
            folded.most = label.map(|label| (catalog.family(id).name.clone(), label));
        }
        folded.series += series;
    }
    count(catalog, totals, folded.series);
    folded
}

/// How many series there are no more.
fn drop_dead(catalog: &Catalog, totals: &mut Totals, id: FamilyId, used: &HashSet<RowId>, how: How) -> usize {
    let family = catalog.family(id);
    if how == How::DropFamilies && family.order.iter().any(|row| used.contains(row)) {
        return 0;
    }
    let mut dropped = 0;
    for row in family.order.iter().filter(|row| !used.contains(row)) {
        dropped += usize::from(totals.needs(*row));
        totals.retained[*row as usize] = Cell::default();
        totals.shown[*row as usize] = f64::NAN;
    }
    dropped
}

/// Notes that so many more were folded away.
fn count(catalog: &mut Catalog, totals: &mut Totals, series: usize) {
    let labels = Series::new(Kind::Counter, Suffix::Value, Labels::default());
    if let (Ok(own), 1..) = (labels, series) {
        let definition = Definition::known(FOLDED, FOLDED_HELP, Kind::Counter, Aggregator::Sum, vec![own]);
        for row in catalog.define(&definition) {
            totals.grow(catalog.len());
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            totals.retained[row as usize].take(Op::Add, series as f64, 0);
        }
    }
}

/// Groups of which nobody has a row, and the dead have.
fn dead<'a>(catalog: &Catalog, totals: &Totals, family: &'a Entry, used: &HashSet<RowId>) -> Vec<Group<'a>> {
    let group_of = |row: &RowId| catalog.row(*row).group;
    let groups = family.order.chunk_by(|one, other| group_of(one) == group_of(other));
    groups
        .filter(|group| {
            !group.iter().any(|row| used.contains(row)) && group.iter().any(|row| totals.needs(*row))
        })
        .collect()
}

/// How many series there are no more, and the label that differed most.
fn fold_family(
    catalog: &mut Catalog,
    totals: &mut Totals,
    id: FamilyId,
    living: Living,
    how: How,
) -> (usize, Option<String>) {
    let (family, used) = (catalog.family(id), living.rows);
    let dead: Vec<Vec<RowId>> =
        dead(catalog, totals, family, used).into_iter().map(<[RowId]>::to_vec).collect();
    let own: Vec<Pairs> = dead.iter().map(|group| pairs(catalog, family, group)).collect();
    let (folded, label) = fold_labels(own.clone(), &living.values(catalog, family), how);
    let mut targets: HashMap<Pairs, Vec<RowId>> = HashMap::new();
    for ((group, own), labels) in dead.iter().zip(&own).zip(&folded) {
        if own != labels {
            targets.entry(labels.clone()).or_default().extend(group);
        }
    }
    // A series that has these labels already is one of those that are added up.
    let group_of = |row: &RowId| catalog.row(*row).group;
    for group in family.order.chunk_by(|one, other| group_of(one) == group_of(other)) {
        if let Some(rows) = targets.get_mut(&pairs(catalog, family, group)) {
            rows.extend(group);
        }
    }
    let head = (family.name.clone(), family.help.clone(), family.kind, family.aggregator);
    let mut gone = 0;
    for (labels, rows) in targets {
        let sums = add_up(catalog, totals, &head, &labels, &rows);
        for row in &rows {
            gone += usize::from(totals.needs(*row));
            totals.retained[*row as usize] = Cell::default();
            if !used.contains(row) {
                totals.shown[*row as usize] = f64::NAN;
            }
        }
        let (name, help, kind, aggregator) = &head;
        let (series, cells): (Vec<_>, Vec<_>) = sums.into_iter().unzip();
        gone = gone.saturating_sub(series.len());
        let rows = catalog.define(&Definition::known(name, help, *kind, *aggregator, series));
        totals.grow(catalog.len());
        for (row, cell) in rows.into_iter().zip(cells) {
            totals.retained[row as usize] = cell;
        }
    }
    (gone, label)
}

/// Labels in order of their names, without `le` and `quantile`.
type Pairs = Vec<(String, String)>;

fn pairs(catalog: &Catalog, family: &Entry, group: Group) -> Pairs {
    let Some(first) = group.first() else { return Vec::new() };
    let series = &catalog.row(*first).series;
    let inner = family.kind.inner_label(series.suffix());
    let outer = series.labels().iter().filter(|(name, _)| Some(*name) != inner);
    let mut pairs: Pairs = outer.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    pairs.sort();
    pairs
}

/// Labels that differ less, and the first that was folded. `living`: names and values.
fn fold_labels(
    mut groups: Vec<Pairs>,
    living: &HashSet<(&str, &str)>,
    how: How,
) -> (Vec<Pairs>, Option<String>) {
    let mut first = None;
    while first.is_none() || how == How::AllLabels {
        let mut values: HashMap<&str, HashSet<&str>> = HashMap::new();
        for (name, value) in groups.iter().flatten() {
            values.entry(name).or_default().insert(value);
        }
        let dead = |name: &str, values: &HashSet<&str>| {
            values.iter().filter(|value| **value != GONE && !living.contains(&(name, **value))).count()
        };
        let widest = values
            .iter()
            .map(|(name, values)| (dead(name, values), values.len(), std::cmp::Reverse(*name)))
            .filter(|(dead, values, _)| *values > 1 && (*dead > 0 || how == How::AllLabels))
            .max();
        let Some(name) = widest.map(|(.., name)| name.0.to_owned()) else { break };
        for pair in groups.iter_mut().flatten().filter(|(own, _)| *own == name) {
            GONE.clone_into(&mut pair.1);
        }
        first.get_or_insert(name);
    }
    (groups, first)
}

/// What the rows have become, by series with `labels`.
fn add_up(
    catalog: &Catalog,
    totals: &Totals,
    (_, _, kind, _): &(String, String, Kind, Aggregator),
    labels: &Pairs,
    rows: &[RowId],
) -> Vec<(Series, Cell)> {
    let mut plain: HashMap<Suffix, Cell> = HashMap::new();
    let mut buckets: HashMap<u32, Vec<(f64, String, Cell)>> = HashMap::new();
    let distinct: HashSet<RowId> = rows.iter().copied().collect();
    for row in distinct {
        let (cell, rule, of) = (totals.retained[row as usize], catalog.rule(row), catalog.row(row));
        if cell.seen == 0 || !rule.stays || rule.op == Op::Latest {
            continue;
        }
        if of.series.suffix() == Suffix::Bucket {
            let le = of.series.labels().get("le").unwrap_or_default().to_owned();
            let bound = of.series.bound(*kind).unwrap_or_default();
            buckets.entry(of.group).or_default().push((bound, le, cell));
        } else {
            plain.entry(of.series.suffix()).or_default().take(rule.op, cell.value, cell.at);
        }
    }
    let mut bounds: Vec<(f64, String)> =
        buckets.values().flatten().map(|(bound, le, _)| (*bound, le.clone())).collect();
    bounds.sort_by(|one, other| one.0.total_cmp(&other.0));
    bounds.dedup_by(|one, other| one.0.total_cmp(&other.0).is_eq());
    let series = |suffix: Suffix, le: Option<String>| {
        let mut labels = labels.clone();
        labels.extend(le.map(|le| ("le".to_owned(), le)));
        Series::new(*kind, suffix, Labels::new(labels).ok()?).ok()
    };
    let of_buckets = bounds.into_iter().filter_map(|(bound, le)| {
        let mut sum = Cell::default();
        for group in buckets.values() {
            // As in `binding`: who lacks a bound counts there with the next lower one.
            let below = group.iter().filter(|(own, ..)| *own <= bound);
            if let Some((.., cell)) = below.max_by(|one, other| one.0.total_cmp(&other.0)) {
                sum.take(Op::Add, cell.value, cell.at);
            }
        }
        Some((series(Suffix::Bucket, Some(le))?, sum))
    });
    let of_plain = plain.into_iter().filter_map(|(suffix, cell)| Some((series(suffix, None)?, cell)));
    of_buckets.chain(of_plain).collect()
}
