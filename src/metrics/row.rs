//! What the catalog holds: families and their series, with all that is written of them each time made once.

use std::collections::HashMap;

use crate::metrics::catalog::{FamilyId, RowId};
use crate::metrics::model::{Aggregator, Kind, Series, Suffix};
use crate::metrics::process_wide::is_process_wide;
use crate::metrics::schema::Definition;
use crate::metrics::write::{header, Format, Head};

/// A family.
#[derive(Debug)]
pub struct Entry {
    pub name: String,
    pub kind: Kind,
    pub help: String,
    pub aggregator: Aggregator,
    /// What its series say is the process's: see `process_wide`.
    pub is_process_wide: bool,
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

impl Entry {
    pub fn new(definition: &Definition) -> Self {
        Self {
            name: definition.name().to_owned(),
            kind: definition.kind(),
            help: definition.help().to_owned(),
            aggregator: definition.aggregator(),
            is_process_wide: is_process_wide(definition.name(), definition.help()),
            order: Vec::new(),
            headers: headers(definition),
            rows: HashMap::new(),
            groups: HashMap::new(),
            bounds: Vec::new(),
        }
    }

    /// Takes help and aggregator of another definition. Whether anything has changed.
    pub fn redefine(&mut self, definition: &Definition) -> bool {
        if self.help == definition.help() && self.aggregator == definition.aggregator() {
            return false;
        }
        definition.help().clone_into(&mut self.help);
        self.aggregator = definition.aggregator();
        self.is_process_wide = is_process_wide(&self.name, &self.help);
        self.headers = headers(definition);
        true
    }

    /// The row of a series' key.
    pub fn row(&self, key: &[u8]) -> Option<RowId> {
        self.rows.get(key).copied()
    }

    /// Notes a row, but for its place in `order`.
    pub fn add(&mut self, key: Vec<u8>, id: RowId, row: &Row) {
        self.rows.insert(key, id);
        if row.series.suffix() == Suffix::Bucket {
            let bounds = &mut self.bounds[row.group as usize];
            let at = bounds.partition_point(|(bound, _)| *bound < row.bound);
            bounds.insert(at, (row.bound, id));
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
    pub fn new(family: FamilyId, entry: &mut Entry, series: &Series) -> Self {
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
