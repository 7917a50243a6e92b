//! Every series that the group has: a row each, whatever schema it came with.
//!
//! A schema is looked up here once, when it comes; from then on its columns are row numbers, members with other
//! schemas share rows where they measure the same, and merging is adding numbers by row. What a row's line begins
//! with is written once, too. So neither merging nor writing does any work on strings, and it does not matter how many
//! schemas there are.
//!
//! A family is its name *and* its kind: members that disagree about the kind don't share rows. About help and
//! aggregator the newest schema decides: after a change of version there should be no trace of the old text, and
//! leaving a member's counters out because its help was reworded would make the group's totals fall. Label names may
//! differ from series to series, as they may in prom-client and in Prometheus.

use std::collections::HashMap;

use crate::metrics::model::{Series, Suffix};
use crate::metrics::row::{Entry, Row};
use crate::metrics::rule::Rule;
use crate::metrics::schema::{write_definition, Definition, Schema};
use crate::metrics::wire::put_count;

/// A row's number.
pub type RowId = u32;
/// A family's number.
pub type FamilyId = u32;

/// See the module.
#[derive(Debug, Default)]
pub struct Catalog {
    families: Vec<Entry>,
    rows: Vec<Row>,
    rules: Vec<Rule>,
    names: HashMap<String, Vec<FamilyId>>,
    generation: u64,
}

/// Some rows of some families.
#[derive(Debug, Default)]
pub struct Selection {
    /// In order, with how many of `rows` are theirs.
    families: Vec<(FamilyId, usize)>,
    pub rows: Vec<RowId>,
}

impl Catalog {
    /// Finds or makes a row for each column of the schema.
    pub fn bind(&mut self, schema: &Schema) -> Vec<RowId> {
        let mut rows = Vec::with_capacity(schema.columns());
        for definition in schema.definitions() {
            rows.extend(self.define(definition));
        }
        rows
    }

    /// Finds or makes a row for each series of a family.
    pub fn define(&mut self, definition: &Definition) -> Vec<RowId> {
        let id = self.family_for(definition);
        definition.series().iter().map(|series| self.row_for(id, series)).collect()
    }

    /// Grows with every change that bindings have to follow.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many families and rows there are.
    pub fn size(&self) -> usize {
        self.families.len() + self.rows.len()
    }

    pub fn row(&self, id: RowId) -> &Row {
        &self.rows[id as usize]
    }

    pub fn rule(&self, id: RowId) -> Rule {
        self.rules[id as usize]
    }

    /// All rules, by row.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub fn family(&self, id: FamilyId) -> &Entry {
        &self.families[id as usize]
    }

    /// All families, in the order in which they came.
    pub fn families(&self) -> impl Iterator<Item = (FamilyId, &Entry)> {
        (0..).zip(&self.families)
    }

    /// The families of a name: more than one where members disagree about the kind.
    pub fn named(&self, name: &str) -> &[FamilyId] {
        self.names.get(name).map_or(&[], Vec::as_slice)
    }

    /// The names that several families have.
    pub fn contested(&self) -> impl Iterator<Item = &[FamilyId]> {
        self.names.values().map(Vec::as_slice).filter(|families| families.len() > 1)
    }

    /// The families that are wanted, with those of their rows that are; and all families of these rows.
    pub fn select(&self, wanted: impl Fn(FamilyId) -> bool, wanted_row: impl Fn(RowId) -> bool) -> Selection {
        let mut selection = Selection::default();
        for (id, family) in self.families() {
            let before = selection.rows.len();
            selection.rows.extend(family.order.iter().copied().filter(|row| wanted_row(*row)));
            let count = selection.rows.len() - before;
            if wanted(id) || count > 0 {
                selection.families.push((id, count));
            }
        }
        selection
    }

    /// A selection as definitions.
    pub fn definitions(&self, of: &Selection) -> Vec<Definition> {
        let of_family = |(family, rows): (&Entry, &[RowId])| {
            let series = rows.iter().map(|row| self.row(*row).series.clone()).collect();
            Definition::known(&family.name, &family.help, family.kind, family.aggregator, series)
        };
        self.parts(of).map(of_family).collect()
    }

    /// The same, as [`Definition::write`] writes them.
    pub fn write(&self, of: &Selection, out: &mut Vec<u8>) {
        put_count(out, of.families.len());
        for (family, rows) in self.parts(of) {
            let head = (family.name.as_str(), family.help.as_str(), family.kind, family.aggregator);
            write_definition(out, head, rows.iter().map(|row| &self.row(*row).series));
        }
    }

    fn parts<'a>(&'a self, of: &'a Selection) -> impl Iterator<Item = (&'a Entry, &'a [RowId])> + 'a {
        let mut rest = of.rows.as_slice();
        of.families.iter().map(move |(id, count)| {
            let (rows, after) = rest.split_at((*count).min(rest.len()));
            rest = after;
            (self.family(*id), rows)
        })
    }

    fn family_for(&mut self, definition: &Definition) -> FamilyId {
        let known = self.names.entry(definition.name().to_owned()).or_default();
        let families = &mut self.families;
        if let Some(id) = known.iter().copied().find(|id| families[*id as usize].kind == definition.kind()) {
            self.redefine(id, definition);
            return id;
        }
        // Bounded by MAX_ROWS and by MAX_FAMILIES for each member.
        let id = FamilyId::try_from(families.len()).unwrap_or(FamilyId::MAX);
        known.push(id);
        families.push(Entry::new(definition));
        id
    }

    fn redefine(&mut self, id: FamilyId, definition: &Definition) {
        let entry = &mut self.families[id as usize];
        if entry.redefine(definition) {
            for row in &entry.order {
                let suffix = self.rows[*row as usize].series.suffix();
                self.rules[*row as usize] = Rule::of(entry.kind, suffix, entry.aggregator);
            }
            self.generation += 1;
        }
    }

    fn row_for(&mut self, family: FamilyId, series: &Series) -> RowId {
        let entry = &mut self.families[family as usize];
        let key = series.key();
        if let Some(row) = entry.row(&key) {
            return row;
        }
        let id = RowId::try_from(self.rows.len()).unwrap_or(RowId::MAX);
        let row = Row::new(family, entry, series);
        entry.add(key, id, &row);
        let rows = &self.rows;
        let at = entry.order.partition_point(|other| rows[*other as usize].place() <= row.place());
        entry.order.insert(at, id);
        self.generation += u64::from(series.suffix() == Suffix::Bucket);
        self.rules.push(Rule::of(entry.kind, series.suffix(), entry.aggregator));
        self.rows.push(row);
        id
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn schema(text: &str) -> Schema {
        Schema::from_json(text).unwrap()
    }

    #[test]
    fn members_share_rows_whatever_their_schemas() {
        let mut catalog = Catalog::default();
        let one = catalog.bind(&schema(
            r#"{"families":[{"name":"a","type":"counter","series":[["",{"x":1,"y":2}],["",{}]]}]}"#,
        ));
        let other = catalog.bind(&schema(
            r#"{"families":[{"name":"b","type":"gauge","series":[["",{}]]},
                {"name":"a","type":"counter","series":[["",{"y":2,"x":1}],["",{"x":2}]]},
                {"name":"c","type":"gauge","series":[]}]}"#,
        ));
        assert_eq!((one, other), (vec![0, 1], vec![2, 0, 3]));
        assert_eq!(catalog.families().count(), 3);
        let gauge = catalog
            .bind(&schema(r#"{"families":[{"name":"a","type":"gauge","series":[["",{"x":1,"y":2}]]}]}"#));
        assert_eq!(gauge, [4]);
        assert_eq!(catalog.contested().collect::<Vec<_>>(), [[0, 3]]);
    }

    #[test]
    fn buckets_are_in_order_however_they_came() {
        let mut catalog = Catalog::default();
        let rows = catalog.bind(&schema(
            r#"{"families":[{"name":"h","type":"histogram","series":[
                ["_count",{"x":1}],["_bucket",{"le":"+Inf","x":1}],["_bucket",{"le":5,"x":1}],["_bucket",{"le":1,"x":0}],
                ["_sum",{"x":1}],["_bucket",{"le":-1,"x":1}],["_bucket",{"le":10,"x":1}]]}]}"#,
        ));
        assert_eq!(rows, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(catalog.family(0).order, [5, 2, 6, 1, 4, 0, 3]);
        assert_eq!(catalog.family(0).bounds(0), [(-1.0, 5), (5.0, 2), (10.0, 6), (f64::INFINITY, 1)]);
    }

    #[test]
    fn the_newest_schema_decides_about_help_and_aggregator() {
        let mut catalog = Catalog::default();
        let text = r#"{"families":[{"name":"a","help":"old","type":"gauge","series":[["",{}]]}]}"#;
        catalog.bind(&schema(text));
        let generation = catalog.generation();
        catalog.bind(&schema(text));
        assert_eq!(catalog.generation(), generation);
        catalog.bind(&schema(&text.replace(r#""help":"old""#, r#""help":"new","aggregator":"max""#)));
        assert_ne!(catalog.generation(), generation);
        assert_eq!(catalog.rule(0).op, crate::metrics::rule::Op::Greatest);
        assert_eq!(
            catalog.family(0).header(crate::metrics::write::Format::Text),
            b"# HELP a new\n# TYPE a gauge\n"
        );
    }
}
