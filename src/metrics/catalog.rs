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

use crate::metrics::model::{Aggregator, Kind, Series, Suffix};
use crate::metrics::rule::Rule;
use crate::metrics::schema::{Definition, Schema};
use crate::metrics::write::{header, Format, Head};

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

/// A family.
#[derive(Debug)]
pub struct Entry {
    pub name: String,
    pub kind: Kind,
    pub help: String,
    pub aggregator: Aggregator,
    /// Its rows as they are written: series of one observation together, buckets in order.
    pub order: Vec<RowId>,
    headers: [Vec<u8>; 2],
    rows: HashMap<Vec<u8>, RowId>,
    groups: HashMap<Vec<u8>, u32>,
    /// By group: its buckets, in order.
    bounds: Vec<Vec<(f64, RowId)>>,
}

/// A series.
#[derive(Debug)]
pub struct Row {
    pub family: FamilyId,
    pub series: Series,
    /// Which of its family's observations it belongs to.
    pub group: u32,
    /// Its place in its group: buckets or quantiles, sum, count, created.
    part: u8,
    bound: f64,
    head: Head,
    /// The head in OpenMetrics, where it is another.
    open_head: Option<Head>,
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

    /// The families that are wanted, with those of their rows that are, as definitions; and these rows, in order.
    pub fn definitions(
        &self,
        wanted: impl Fn(FamilyId) -> bool,
        wanted_row: impl Fn(RowId) -> bool,
    ) -> (Vec<Definition>, Vec<RowId>) {
        let (mut definitions, mut rows) = (Vec::new(), Vec::new());
        for (id, family) in self.families() {
            let own: Vec<_> = family.order.iter().copied().filter(|row| wanted_row(*row)).collect();
            if wanted(id) || !own.is_empty() {
                let series = own.iter().map(|row| self.row(*row).series.clone()).collect();
                let (kind, aggregator) = (family.kind, family.aggregator);
                definitions.push(Definition::known(&family.name, &family.help, kind, aggregator, series));
                rows.extend(own);
            }
        }
        (definitions, rows)
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
        if entry.help == definition.help() && entry.aggregator == definition.aggregator() {
            return;
        }
        definition.help().clone_into(&mut entry.help);
        entry.aggregator = definition.aggregator();
        entry.headers = headers(definition);
        for row in &entry.order {
            let suffix = self.rows[*row as usize].series.suffix();
            self.rules[*row as usize] = Rule::of(entry.kind, suffix, entry.aggregator);
        }
        self.generation += 1;
    }

    fn row_for(&mut self, family: FamilyId, series: &Series) -> RowId {
        let entry = &mut self.families[family as usize];
        let key = series.key();
        if let Some(row) = entry.rows.get(&key) {
            return *row;
        }
        let id = RowId::try_from(self.rows.len()).unwrap_or(RowId::MAX);
        entry.rows.insert(key, id);
        let row = Row::new(family, entry, series);
        if series.suffix() == Suffix::Bucket {
            let bounds = &mut entry.bounds[row.group as usize];
            let at = bounds.partition_point(|(bound, _)| *bound < row.bound);
            bounds.insert(at, (row.bound, id));
            self.generation += 1;
        }
        let rows = &self.rows;
        let at = entry.order.partition_point(|other| rows[*other as usize].place() <= row.place());
        entry.order.insert(at, id);
        self.rules.push(Rule::of(entry.kind, series.suffix(), entry.aggregator));
        self.rows.push(row);
        id
    }
}

impl Entry {
    fn new(definition: &Definition) -> Self {
        Self {
            name: definition.name().to_owned(),
            kind: definition.kind(),
            help: definition.help().to_owned(),
            aggregator: definition.aggregator(),
            order: Vec::new(),
            headers: headers(definition),
            rows: HashMap::new(),
            groups: HashMap::new(),
            bounds: Vec::new(),
        }
    }

    /// The lines HELP and TYPE.
    pub fn header(&self, format: Format) -> &[u8] {
        &self.headers[usize::from(format == Format::OpenMetrics)]
    }

    /// A group's buckets, in order.
    pub fn bounds(&self, group: u32) -> &[(f64, RowId)] {
        self.bounds.get(group as usize).map_or(&[], Vec::as_slice)
    }

    /// How many groups it has.
    pub fn groups(&self) -> u32 {
        u32::try_from(self.bounds.len()).unwrap_or(u32::MAX)
    }
}

impl Row {
    fn new(family: FamilyId, entry: &mut Entry, series: &Series) -> Self {
        let (kind, suffix) = (entry.kind, series.suffix());
        let inner = kind.inner_label(suffix);
        let next = u32::try_from(entry.groups.len()).unwrap_or(u32::MAX);
        let group = *entry.groups.entry(series.labels().key(inner)).or_insert(next);
        if group == next {
            entry.bounds.push(Vec::new());
        }
        let head = |format| Head::new(&entry.name, kind, suffix, series.labels(), format);
        let differs = kind == Kind::Counter && (suffix == Suffix::Created || !entry.name.ends_with("_total"));
        Self {
            family,
            series: series.clone(),
            group,
            part: match suffix {
                Suffix::Value | Suffix::Bucket => 0,
                Suffix::Sum => 1,
                Suffix::Count => 2,
                Suffix::Created => 3,
            },
            bound: series.bound(kind).unwrap_or_default(),
            head: head(Format::Text),
            open_head: differs.then(|| head(Format::OpenMetrics)),
        }
    }

    /// What its line begins with.
    pub fn head(&self, format: Format) -> &Head {
        match &self.open_head {
            Some(head) if format == Format::OpenMetrics => head,
            _ => &self.head,
        }
    }

    /// Sorts the rows of a family. Bounds are numbers, never NaN.
    pub fn place(&self) -> (u32, u8, Bound) {
        (self.group, self.part, Bound(self.bound))
    }
}

/// A bound that can be sorted.
#[derive(Clone, Copy, Debug)]
pub struct Bound(f64);

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Bound {}

impl PartialOrd for Bound {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Bound {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

fn headers(definition: &Definition) -> [Vec<u8>; 2] {
    [Format::Text, Format::OpenMetrics]
        .map(|format| header(definition.name(), definition.help(), definition.kind(), format))
}

#[cfg(test)]
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
        assert_eq!(catalog.family(0).header(Format::Text), b"# HELP a new\n# TYPE a gauge\n");
    }
}
