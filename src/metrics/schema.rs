//! What a member's numbers mean: names, labels and help, which travel once and again when they change.
//!
//! A [`Schema`] is immutable. Its id is a hash of its content (SHA-256, the first 64 bits), so that members which
//! measure the same share one, and nobody can disagree about what an id means. Order counts: column `n` of a snapshot
//! is the n-th series.
//!
//! The wire form is JSON, close to what prom-client's `getMetricsAsJSON()` gives, because JavaScript makes it:
//!
//! ```json
//! {"families":[{"name":"jobs_total","help":"Jobs","type":"counter","aggregator":"sum",
//!   "series":[["",{"queue":"mail"}],["",{"queue":"push","try":2}]]}]}
//! ```
//!
//! A series is `[suffix, labels]`; a suffix is what `metricName` has after `name`. Numbers, booleans and null among the
//! labels' values become the texts that JavaScript makes of them.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::metrics::error::{MetricsError, Result};
use crate::metrics::limits::{MAX_FAMILIES, MAX_INPUT, MAX_SERIES, MAX_TEXT};
use crate::metrics::model::{is_metric_name, Aggregator, Exemplar, Family, Kind, Labels, Series, Suffix};
use crate::metrics::schema_json::WireSchema;
use crate::metrics::wire::{put_count, put_text, Reader};

/// Names a schema by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SchemaId(pub u64);

/// A family without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    name: String,
    help: String,
    kind: Kind,
    aggregator: Aggregator,
    series: Vec<Series>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    id: SchemaId,
    definitions: Vec<Definition>,
    columns: usize,
    canonical: Vec<u8>,
}

/// A schema, the value of each of its columns, and the exemplars by column.
pub type Split = (Schema, Vec<f64>, Vec<(usize, Exemplar)>);

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Definition {
    /// Checks the name, the help's length, and that no series comes twice. The series fit `kind` if they were made for
    /// it; one that was not is refused.
    pub fn new(
        name: String,
        help: String,
        kind: Kind,
        aggregator: Aggregator,
        series: Vec<Series>,
    ) -> Result<Self> {
        if !is_metric_name(&name) {
            return Err(MetricsError::BadSchema(format!("{name:?} is no metric name")));
        }
        let bad = |reason: String| Err(MetricsError::BadSchema(format!("{name}: {reason}")));
        if help.len() > MAX_TEXT {
            return bad(format!("its help is longer than {MAX_TEXT} bytes"));
        }
        let mut keys = HashSet::with_capacity(series.len());
        for one in &series {
            if !one.fits(kind) {
                return bad(format!("its series {} are not those of a {}", one.suffix().text(), kind.word()));
            }
            if !keys.insert(one.key()) {
                let labels: Vec<_> =
                    one.labels().iter().map(|(label, value)| format!("{label}={value:?}")).collect();
                return bad(format!("{name}{}{{{}}} comes twice", one.suffix().text(), labels.join(",")));
            }
        }
        Ok(Self { name, help, kind, aggregator, series })
    }

    /// Of series that were checked before.
    pub(super) fn known(
        name: &str,
        help: &str,
        kind: Kind,
        aggregator: Aggregator,
        series: Vec<Series>,
    ) -> Self {
        Self { name: name.to_owned(), help: help.to_owned(), kind, aggregator, series }
    }

    /// The family's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    #[must_use]
    pub fn help(&self) -> &str {
        &self.help
    }

    /// What it measures.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How values become one.
    #[must_use]
    pub fn aggregator(&self) -> Aggregator {
        self.aggregator
    }

    /// Its series, in the order of the columns.
    #[must_use]
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write_definition(out, (&self.name, &self.help, self.kind, self.aggregator), self.series.iter());
    }

    /// `None` where the bytes end too early, or mean nothing valid.
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        const KINDS: [Kind; 5] = [Kind::Counter, Kind::Gauge, Kind::Histogram, Kind::Summary, Kind::Untyped];
        const AGGREGATORS: [Aggregator; 9] = [
            Aggregator::Sum,
            Aggregator::First,
            Aggregator::Min,
            Aggregator::Max,
            Aggregator::Average,
            Aggregator::Omit,
            Aggregator::LiveSum,
            Aggregator::MostRecent,
            Aggregator::All,
        ];
        let name = reader.text()?.to_owned();
        let help = reader.text()?.to_owned();
        let kind = *KINDS.get(usize::from(reader.u8()?))?;
        let aggregator = *AGGREGATORS.get(usize::from(reader.u8()?))?;
        let count = reader.count(5)?;
        let mut series = Vec::with_capacity(count);
        for _ in 0..count {
            let suffix = *Suffix::ALL.get(usize::from(reader.u8()?))?;
            let mut labels = Vec::new();
            for _ in 0..reader.count(8)? {
                labels.push((reader.text()?.to_owned(), reader.text()?.to_owned()));
            }
            series.push(Series::new(kind, suffix, Labels::new(labels).ok()?).ok()?);
        }
        Self::new(name, help, kind, aggregator, series).ok()
    }
}

/// Writes a family, given as name, help, kind and aggregator, and its series.
pub(super) fn write_definition<'a>(
    out: &mut Vec<u8>,
    (name, help, kind, aggregator): (&str, &str, Kind, Aggregator),
    series: impl ExactSizeIterator<Item = &'a Series>,
) {
    put_text(out, name);
    put_text(out, help);
    out.push(kind as u8);
    out.push(aggregator as u8);
    put_count(out, series.len());
    for series in series {
        out.push(series.suffix() as u8);
        put_count(out, series.labels().len());
        for (name, value) in series.labels().iter() {
            put_text(out, name);
            put_text(out, value);
        }
    }
}

impl Schema {
    /// A schema of these families: at most one for a name.
    pub fn new(definitions: Vec<Definition>) -> Result<Self> {
        let columns = definitions.iter().map(|definition| definition.series.len()).sum();
        if definitions.len() > MAX_FAMILIES {
            return Err(MetricsError::TooMany { what: "families of one member", limit: MAX_FAMILIES });
        }
        if columns > MAX_SERIES {
            return Err(MetricsError::TooMany { what: "series of one member", limit: MAX_SERIES });
        }
        let mut names = HashSet::new();
        if let Some(twice) = definitions.iter().find(|definition| !names.insert(definition.name.as_str())) {
            return Err(MetricsError::BadSchema(format!("family {} comes twice", twice.name)));
        }
        let mut canonical = Vec::new();
        put_count(&mut canonical, definitions.len());
        for definition in &definitions {
            definition.write(&mut canonical);
        }
        let digest = Sha256::digest(&canonical);
        let id = digest.iter().take(8).fold(0, |id, byte| (id << 8) | u64::from(*byte));
        Ok(Self { id: SchemaId(id), definitions, columns, canonical })
    }

    /// Reads the wire form.
    pub fn from_json(text: &str) -> Result<Self> {
        if text.len() > MAX_INPUT {
            return Err(MetricsError::BadSchema(format!("longer than {MAX_INPUT} bytes")));
        }
        let wire: WireSchema =
            serde_json::from_str(text).map_err(|error| MetricsError::BadSchema(error.to_string()))?;
        Self::new(wire.definitions()?)
    }

    /// The wire form.
    #[must_use]
    pub fn to_json(&self) -> String {
        WireSchema::json(&self.definitions)
    }

    /// One schema for what two parts of a member measure: the columns of `other` follow.
    pub fn joined(&self, other: &Self) -> Result<Self> {
        Self::new(self.definitions.iter().chain(&other.definitions).cloned().collect())
    }

    /// Takes families apart into what they are and what they say now.
    pub fn split(families: Vec<Family>) -> Result<Split> {
        let (mut definitions, mut values, mut exemplars) = (Vec::new(), Vec::new(), Vec::new());
        for family in families {
            let mut series = Vec::with_capacity(family.samples.len());
            for sample in family.samples {
                exemplars.extend(sample.exemplar.map(|exemplar| (values.len(), exemplar)));
                values.push(sample.value);
                series.push(sample.series);
            }
            definitions.push(Definition::new(
                family.name,
                family.help,
                family.kind,
                family.aggregator,
                series,
            )?);
        }
        Ok((Self::new(definitions)?, values, exemplars))
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> SchemaId {
        self.id
    }

    /// Its families.
    #[must_use]
    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// How many numbers a snapshot of it has.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let count = reader.count(14)?;
        let mut definitions = Vec::with_capacity(count.min(MAX_FAMILIES));
        for _ in 0..count {
            definitions.push(Definition::read(reader)?);
        }
        Self::new(definitions).ok()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"families":[
        {"name":"jobs_total","help":"Jobs","type":"counter",
         "series":[["",{"queue":"mail"}],["",{"queue":"push","try":2,"b":true,"n":null}]]},
        {"name":"d","type":"histogram","aggregator":"sum",
         "series":[["_bucket",{"le":0.5}],["_bucket",{"le":"+Inf"}],["_sum",{}],["_count",{}]]}]}"#;

    #[test]
    fn json_is_read_and_labels_become_texts() {
        let schema = Schema::from_json(TEXT).unwrap();
        assert_eq!(schema.columns(), 6);
        let push = &schema.definitions()[0].series()[1];
        assert_eq!(
            push.labels().iter().collect::<Vec<_>>(),
            [("queue", "push"), ("try", "2"), ("b", "true"), ("n", "null")]
        );
        assert_eq!(schema.definitions()[1].series()[0].labels().get("le"), Some("0.5"));
        assert_eq!(Schema::from_json(&schema.to_json()).unwrap(), schema);
    }

    #[test]
    fn an_id_is_its_content() {
        let schema = Schema::from_json(TEXT).unwrap();
        assert_eq!(schema.id(), Schema::from_json(&TEXT.replace('\n', " ")).unwrap().id());
        assert_ne!(schema.id(), Schema::from_json(&TEXT.replace("Jobs", "jobs")).unwrap().id());
        assert_eq!(Schema::read(&mut Reader::new(schema.canonical())), Some(schema));
    }

    #[test]
    fn a_refusal_names_the_family_and_the_mistake() {
        let refused = |family: &str| {
            Schema::from_json(&format!("{{\"families\":[{family}]}}")).unwrap_err().to_string()
        };
        assert!(refused(r#"{"name":"a-b","type":"gauge","series":[]}"#).contains("a-b"));
        assert!(refused(r#"{"name":"a","type":"rate","series":[]}"#).contains("rate"));
        assert!(refused(r#"{"name":"a","type":"gauge","series":[["_x",{}]]}"#).contains("a: "));
        assert!(refused(r#"{"name":"a","type":"gauge","series":[["",{"x":1}],["",{"x":"1"}]]}"#)
            .contains("twice"));
        assert!(refused(r#"{"name":"a","type":"gauge","aggregator":"mean","series":[]}"#).contains("mean"));
        assert!(refused(
            r#"{"name":"a","type":"gauge","series":[]},{"name":"a","type":"gauge","series":[]}"#
        )
        .contains("comes twice"));
        assert!(Schema::from_json(&"[".repeat(100_000)).is_err());
    }
}
