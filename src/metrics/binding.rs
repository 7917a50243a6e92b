//! A schema's columns, found in the catalog.
//!
//! **Buckets that differ.** A histogram's buckets are cumulative, so adding them by label set, as prom-client does,
//! gives counts that fall from one `le` to the next where members have other bounds. Here a member without a bound
//! that others have counts there with its next lower bucket: what is known to be at most that. The result never
//! falls, `+Inf` is exact, and where all have the same bounds (nearly always) nothing is different.

use std::collections::HashMap;

use crate::metrics::catalog::{Catalog, FamilyId, RowId};
use crate::metrics::model::Suffix;
use crate::metrics::rule::Op;
use crate::metrics::schema::Schema;

/// A column's number.
pub type Column = u32;

/// See the module.
#[derive(Debug)]
pub struct Binding {
    pub schema: Schema,
    /// By column.
    pub rows: Vec<RowId>,
    /// Buckets of others, and the column that counts there.
    pub fills: Vec<(Column, RowId)>,
    /// Columns that begin anew together.
    pub groups: Vec<Group>,
    /// Columns by family, in the order of writing.
    pub spans: HashMap<FamilyId, Vec<Column>>,
    /// Its families, those without a series, too.
    pub families: Vec<FamilyId>,
    /// Families that the catalog has with another help or aggregator.
    pub differs: Vec<(FamilyId, &'static str)>,
    /// Columns of families that are process-wide.
    pub process_columns: Vec<Column>,
    /// Whether the time of changes counts for any column.
    pub timed: bool,
    generation: Option<u64>,
}

/// What counts one thing: a counter, or a histogram's or summary's series for one set of labels.
#[derive(Debug, Default)]
pub struct Group {
    /// These can't fall.
    pub counts: Vec<Column>,
    /// A sum can, if something negative was observed.
    pub sums: Vec<Column>,
}

impl Group {
    pub fn columns(&self) -> impl Iterator<Item = usize> + '_ {
        self.counts.iter().chain(&self.sums).map(|column| *column as usize)
    }
}

impl Binding {
    pub fn new(schema: Schema, catalog: &mut Catalog) -> Self {
        let rows = catalog.bind(&schema);
        let mut binding = Self {
            schema,
            rows,
            fills: Vec::new(),
            groups: Vec::new(),
            spans: HashMap::new(),
            families: Vec::new(),
            differs: Vec::new(),
            process_columns: Vec::new(),
            timed: false,
            generation: None,
        };
        binding.refresh(catalog);
        binding
    }

    /// Finds the rows anew, in another catalog.
    pub fn rebind(&mut self, catalog: &mut Catalog) {
        self.rows = catalog.bind(&self.schema);
        self.generation = None;
    }

    /// Rows of families that are process-wide.
    pub fn process_rows(&self) -> impl Iterator<Item = RowId> + '_ {
        self.process_columns.iter().map(|column| self.rows[*column as usize])
    }

    /// Follows the catalog's changes.
    pub fn refresh(&mut self, catalog: &Catalog) {
        if self.generation == Some(catalog.generation()) {
            return;
        }
        self.generation = Some(catalog.generation());
        self.spans.clear();
        self.timed = false;
        self.process_columns.clear();
        let mut groups: HashMap<(FamilyId, u32), Group> = HashMap::new();
        for (column, row) in (0..).zip(&self.rows) {
            let (rule, row) = (catalog.rule(*row), catalog.row(*row));
            self.spans.entry(row.family).or_default().push(column);
            self.timed |= rule.op == Op::Latest;
            if catalog.family(row.family).is_process_wide {
                self.process_columns.push(column);
            }
            if rule.is_total() {
                let group = groups.entry((row.family, row.group)).or_default();
                let sum = row.series.suffix() == Suffix::Sum;
                if sum { &mut group.sums } else { &mut group.counts }.push(column);
            }
        }
        for columns in self.spans.values_mut() {
            columns.sort_by_key(|column| catalog.row(self.rows[*column as usize]).place());
        }
        self.fills = self.find_fills(catalog);
        self.groups = groups.into_values().collect();
        self.find_families(catalog);
    }

    fn find_fills(&self, catalog: &Catalog) -> Vec<(Column, RowId)> {
        let mut own: HashMap<RowId, Column> = HashMap::new();
        let mut groups = Vec::new();
        for (column, row) in (0..).zip(&self.rows) {
            let of = catalog.row(*row);
            if of.series.suffix() == Suffix::Bucket && catalog.rule(*row).op == Op::Add {
                own.insert(*row, column);
                groups.push((of.family, of.group));
            }
        }
        groups.sort_unstable();
        groups.dedup();
        let mut fills = Vec::new();
        for (family, group) in groups {
            let mut below = None;
            for (_, row) in catalog.family(family).bounds(group) {
                match (own.get(row), below) {
                    (Some(column), _) => below = Some(*column),
                    (None, Some(column)) => fills.push((column, *row)),
                    (None, None) => {}
                }
            }
        }
        fills
    }

    fn find_families(&mut self, catalog: &Catalog) {
        self.families.clear();
        self.differs.clear();
        for definition in self.schema.definitions() {
            let mut named = catalog.named(definition.name()).iter().copied();
            let Some(id) = named.find(|id| catalog.family(*id).kind == definition.kind()) else { continue };
            self.families.push(id);
            if catalog.family(id).aggregator != definition.aggregator() {
                self.differs.push((id, "aggregator"));
            }
            if catalog.family(id).help != definition.help() {
                self.differs.push((id, "help"));
            }
        }
    }
}
