//! The group's metrics as text.
//!
//! A member that can't be merged is reported and left out; the rest is answered:
//!
//! * Members disagree about a family's kind: that of the oldest process holds.
//! * A family is called as one of the agent's own.
//! * Two families have the same name in OpenMetrics (`x` and `x_total`): the first is written.
//! * A member's last message was refused: its last good snapshot is written.
//!
//! Different help or aggregator is reported, too, but leaves nothing out: see `catalog`.
//!
//! With `members_apart` every series has a `member` label, gauges are written as they are, whatever their aggregator
//! (but `omit`), and those who are gone are one more member, [`GONE`]. With `slots` the label is a small number that is
//! free again when its member is gone, so that there are never more values than there were members at one time. A label of the user's own that is called
//! `member` (or `pid`, with aggregator `all`) becomes `exported_member`, as in Prometheus.

use std::collections::{HashMap, HashSet};

use crate::metrics::aggregate::Aggregate;
use crate::metrics::binding::Column;
use crate::metrics::catalog::{Catalog, FamilyId, RowId};
use crate::metrics::member::{Incarnation, Member};
use crate::metrics::merge::{exemplars_of, merge, newest_exemplars, process_label, tell_apart, Part};
use crate::metrics::model::{Aggregator, Exemplar, Family, Labels};
use crate::metrics::process_wide::silence;
use crate::metrics::row::Entry;
use crate::metrics::rule::{Cell, Op};
use crate::metrics::write::{
    begin_family, finish, open_name, takes_exemplar, write_family, write_label, write_value, Format, Head,
};

/// The `member` label of all who are gone.
pub const GONE: &str = "gone";

/// How to render.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Every series by member, not merged.
    pub members_apart: bool,
    /// A member's label is its slot, not its process.
    pub slots: bool,
    /// What becomes of the quantiles of summaries.
    pub quantiles: Quantiles,
}

/// What becomes of the quantiles of summaries: those of several processes can't be merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quantiles {
    /// They are left out.
    #[default]
    Drop,
    /// The greatest: no process was worse.
    Max,
}

/// Something that is not in the text, or not as its member meant it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whose it is; `None` if it is everybody's.
    pub member: Option<String>,
    /// The family, if it is about one.
    pub family: Option<String>,
    /// What is wrong, in words.
    pub reason: String,
}

/// An answer to a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The exposition, UTF-8.
    pub text: Vec<u8>,
    /// What is missing in it, or was decided.
    pub problems: Vec<Problem>,
}

impl Aggregate {
    /// All members' metrics, and `own` ones of the caller behind them. It needs `&mut` because what was shown once is
    /// never shown smaller again.
    pub fn render(&mut self, format: Format, options: Options, own: &[Family]) -> Rendered {
        let mut parts: Vec<_> = self
            .members
            .iter()
            .filter_map(|(who, member)| {
                let binding = self.bindings.get(&member.schema?)?;
                let exemplars =
                    if format == Format::OpenMetrics { exemplars_of(member) } else { HashMap::new() };
                Some(Part { who: *who, member, name: String::new(), binding, silent: Vec::new(), exemplars })
            })
            .collect();
        if options.slots {
            for part in &mut parts {
                part.name = part.member.slot.to_string();
            }
        } else {
            tell_apart(&mut parts, GONE);
        }
        silence(&self.catalog, &mut parts);
        let mut problems = faults(&self.members);
        let present = self.present(&parts, own, &mut problems);
        let mut cells = self.totals.retained.clone();
        if !options.members_apart {
            merge(&self.catalog, &parts, &mut cells);
        }
        let exemplars = newest_exemplars(&parts);
        let mut out = Vec::with_capacity(64 * self.catalog.len() + 1024);
        let mut open_names = HashSet::new();
        for (id, family) in self.catalog.families().filter(|(id, _)| present[*id as usize]) {
            if format == Format::OpenMetrics && !open_names.insert(open_name(&family.name, family.kind)) {
                let reason = "another family has the same name in OpenMetrics".to_owned();
                problems.push(Problem { member: None, family: Some(family.name.clone()), reason });
                continue;
            }
            begin_family(&mut out, format);
            out.extend_from_slice(family.header(format));
            let mut text = FamilyText { catalog: &self.catalog, family, format, options, out: &mut out };
            if options.members_apart || family.aggregator == Aggregator::All {
                text.apart(id, &parts);
            }
            if options.members_apart {
                text.gone(&cells);
            } else {
                text.merged(&cells, &exemplars, &mut |row, value| {
                    self.totals.show(row, self.catalog.row(row).series.suffix(), value)
                });
            }
        }
        for family in own {
            write_family(&mut out, family, format);
        }
        finish(&mut out, format);
        Rendered { text: out, problems }
    }

    /// By family: whether it is written.
    fn present(&self, parts: &[Part], own: &[Family], problems: &mut Vec<Problem>) -> Vec<bool> {
        let mut present = vec![false; self.catalog.families().count()];
        for part in parts {
            for id in &part.binding.families {
                present[*id as usize] = true;
            }
            for (id, what) in &part.binding.differs {
                let reason = format!("its {what} is not that of the newest schema, which holds");
                problems.push(problem(part, self.catalog.family(*id), reason));
            }
        }
        for (row, cell) in (0..).zip(&self.totals.retained) {
            if cell.seen > 0 && self.catalog.rule(row).stays {
                present[self.catalog.row(row).family as usize] = true;
            }
        }
        for (id, family) in self.catalog.families() {
            present[id as usize] &= family.aggregator != Aggregator::Omit;
        }
        self.settle_kinds(parts, &mut present, problems);
        for family in own {
            for id in self.catalog.named(&family.name) {
                if std::mem::take(&mut present[*id as usize]) {
                    let reason = "the agent has a family of that name".to_owned();
                    problems.push(Problem { member: None, family: Some(family.name.clone()), reason });
                }
            }
        }
        present
    }

    /// Of families that share a name, that of the oldest process is written; of those that only the dead have, the
    /// first.
    fn settle_kinds(&self, parts: &[Part], present: &mut [bool], problems: &mut Vec<Problem>) {
        let contested: HashSet<FamilyId> = self.catalog.contested().flatten().copied().collect();
        if contested.is_empty() {
            return;
        }
        let mut holds: HashMap<&str, FamilyId> = HashMap::new();
        for part in parts {
            for id in part.binding.families.iter().filter(|id| contested.contains(id)) {
                let family = self.catalog.family(*id);
                let held = *holds.entry(&family.name).or_insert(*id);
                if held != *id {
                    let other = self.catalog.family(held).kind.word();
                    let reason =
                        format!("it is a {} there, but a {other} in an older process", family.kind.word());
                    problems.push(problem(part, family, reason));
                }
            }
        }
        for families in self.catalog.contested() {
            let first = families.iter().copied().find(|id| present[*id as usize]);
            let holds =
                families.first().and_then(|id| holds.get(self.catalog.family(*id).name.as_str())).copied();
            for id in families.iter().filter(|id| Some(**id) != holds.or(first)) {
                present[*id as usize] = false;
            }
        }
    }
}

fn faults<'a>(members: impl IntoIterator<Item = (&'a Incarnation, &'a Member)>) -> Vec<Problem> {
    let of = |(_, member): (&Incarnation, &Member)| {
        let reason = member.fault.clone()?;
        Some(Problem { member: Some(member.name.clone()), family: None, reason })
    };
    members.into_iter().filter_map(of).collect()
}

fn problem(part: &Part, family: &Entry, reason: String) -> Problem {
    Problem { member: Some(part.member.name.clone()), family: Some(family.name.clone()), reason }
}

/// The lines of one family.
struct FamilyText<'a> {
    catalog: &'a Catalog,
    family: &'a Entry,
    format: Format,
    options: Options,
    out: &'a mut Vec<u8>,
}

impl FamilyText<'_> {
    /// One line for each row that anybody has.
    fn merged(
        &mut self,
        cells: &[Cell],
        exemplars: &HashMap<RowId, &Exemplar>,
        show: &mut dyn FnMut(RowId, f64) -> f64,
    ) {
        for row in &self.family.order {
            let (cell, rule) = (&cells[*row as usize], self.catalog.rule(*row));
            if cell.seen == 0 || rule.op == Op::Apart || !self.writes(*row) {
                continue;
            }
            let value = cell.result(rule.op);
            let value = if rule.is_total() { show(*row, value) } else { value };
            self.line(*row, None, value, exemplars.get(row).copied());
        }
    }

    /// One line for each row of each member.
    fn apart(&mut self, id: FamilyId, parts: &[Part]) {
        for part in parts {
            let columns: &[Column] = part.binding.spans.get(&id).map_or(&[], Vec::as_slice);
            if columns.is_empty() {
                continue;
            }
            let label = self.label(part);
            for column in columns {
                let row = part.binding.rows[*column as usize];
                if self.writes(row) && !part.silent.contains(column) {
                    let value = part.member.counts()[*column as usize];
                    self.line(row, Some(&label), value, part.exemplars.get(column).copied());
                }
            }
        }
    }

    /// One line for each total of those who are gone.
    fn gone(&mut self, cells: &[Cell]) {
        for row in &self.family.order {
            let (cell, rule) = (&cells[*row as usize], self.catalog.rule(*row));
            if cell.seen > 0 && rule.stays && rule.op != Op::Latest && self.writes(*row) {
                self.line(*row, Some(&("member", GONE.to_owned())), cell.value, None);
            }
        }
    }

    fn label(&self, part: &Part) -> (&'static str, String) {
        if self.options.members_apart {
            ("member", part.name.clone())
        } else {
            ("pid", process_label(part.who))
        }
    }

    fn writes(&self, row: RowId) -> bool {
        let kept = self.options.quantiles == Quantiles::Max || self.options.members_apart;
        self.format.writes(self.catalog.row(row).series.suffix())
            && (kept || self.catalog.rule(row).op != Op::Quantile)
    }

    fn line(
        &mut self,
        id: RowId,
        label: Option<&(&'static str, String)>,
        value: f64,
        exemplar: Option<&Exemplar>,
    ) {
        let row = self.catalog.row(id);
        let (suffix, labels) = (row.series.suffix(), row.series.labels());
        let mut extra = Vec::new();
        if let Some((name, value)) = label {
            write_label(&mut extra, name, value);
        }
        match label {
            Some((name, _)) if labels.get(name).is_some() => {
                let labels = exported(labels, name);
                Head::new(&self.family.name, self.family.kind, suffix, &labels, self.format)
                    .write(self.out, &extra);
            }
            _ => row.head(self.format).write(self.out, &extra),
        }
        let may = self.format == Format::OpenMetrics && takes_exemplar(self.family.kind, suffix);
        write_value(self.out, value, exemplar.filter(|_| may));
    }
}

/// The labels, with `name` out of the way of ours.
fn exported(labels: &Labels, name: &str) -> Labels {
    let mut moved = format!("exported_{name}");
    while labels.get(&moved).is_some() {
        moved.insert_str(0, "exported_");
    }
    let rename = |own: &str| if own == name { moved.clone() } else { own.to_owned() };
    let labels = labels.iter().map(|(own, value)| (rename(own), value.to_owned())).collect();
    Labels::new(labels).unwrap_or_default()
}
