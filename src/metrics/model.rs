//! What metrics are: families, their series, values and exemplars.
//!
//! A [`Series`] can only be built valid: names follow Prometheus' rules, no label comes twice, the suffix is one that
//! the family's kind has, and a bucket's `le` and a summary's `quantile` are numbers, written as JavaScript writes
//! them. So two members that write `1` and `1.0` mean one bucket.

use serde::{Deserialize, Serialize};

use crate::metrics::limits::{MAX_LABELS, MAX_NAME, MAX_TEXT};
use crate::metrics::number;

/// What a family measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in cumulative buckets.
    Histogram,
    /// Counts observations, with quantiles of its own process.
    Summary,
    /// Not said. OpenMetrics calls it `unknown`.
    #[serde(alias = "unknown")]
    Untyped,
}

/// How the values of several members become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregator {
    /// They are added.
    #[default]
    Sum,
    /// That of the oldest process.
    First,
    /// The smallest.
    Min,
    /// The greatest.
    Max,
    /// The arithmetic mean.
    Average,
    /// The family is left out.
    Omit,
    /// Those of living members are added, for counters, too.
    LiveSum,
    /// The one that has changed last, be its process alive or not.
    MostRecent,
    /// They are kept apart by a `pid` label.
    All,
}

/// What a series' name has after the family's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suffix {
    /// Nothing (a counter's `_total` is part of the family's name here; see `write`).
    Value,
    /// `_bucket`
    Bucket,
    /// `_sum`
    Sum,
    /// `_count`
    Count,
    /// `_created`
    Created,
}

/// Labels, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(Vec<(String, String)>);

/// What is measured apart from its siblings in a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    suffix: Suffix,
    labels: Labels,
}

/// One observation that stands for others, usually with a trace id.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Its labels.
    pub labels: Labels,
    /// The observed value.
    pub value: f64,
    /// When, in seconds since 1970.
    pub timestamp: Option<f64>,
}

/// A series with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What was measured.
    pub series: Series,
    /// Its value.
    pub value: f64,
    /// Only on counters and buckets.
    pub exemplar: Option<Exemplar>,
}

/// A family with its values: what is read from text, and what the agent itself measures.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The name, as the text format 0.0.4 has it: a counter's ends with `_total` if its user called it so.
    pub name: String,
    /// What it is, for people.
    pub help: String,
    /// What it measures.
    pub kind: Kind,
    /// How values become one.
    pub aggregator: Aggregator,
    /// Its series.
    pub samples: Vec<Sample>,
}

impl Kind {
    /// The word for it in the text format 0.0.4.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
        }
    }

    /// The label that sets apart the series of one observation: `le` or `quantile`.
    pub(super) fn inner_label(self, suffix: Suffix) -> Option<&'static str> {
        match (self, suffix) {
            (Self::Histogram, Suffix::Bucket) => Some("le"),
            (Self::Summary, Suffix::Value) => Some("quantile"),
            _ => None,
        }
    }

    fn has(self, suffix: Suffix) -> bool {
        match self {
            Self::Counter => matches!(suffix, Suffix::Value | Suffix::Created),
            Self::Gauge | Self::Untyped => suffix == Suffix::Value,
            Self::Histogram => suffix != Suffix::Value,
            Self::Summary => suffix != Suffix::Bucket,
        }
    }
}

impl Suffix {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Value, Self::Bucket, Self::Sum, Self::Count, Self::Created];

    /// As it is written.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Value => "",
            Self::Bucket => "_bucket",
            Self::Sum => "_sum",
            Self::Count => "_count",
            Self::Created => "_created",
        }
    }

    /// The suffix that is written so.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suffix| suffix.text() == text)
    }
}

impl Labels {
    /// Checks names and lengths; the reason of a refusal names the label.
    pub fn new(labels: Vec<(String, String)>) -> Result<Self, String> {
        if labels.len() > MAX_LABELS {
            return Err(format!("{} labels, at most {MAX_LABELS} are taken", labels.len()));
        }
        for (at, (name, value)) in labels.iter().enumerate() {
            if !is_label_name(name) {
                return Err(format!("{name:?} is no label name"));
            }
            if value.len() > MAX_TEXT {
                return Err(format!("the value of label {name} is longer than {MAX_TEXT} bytes"));
            }
            if labels[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(format!("label {name} comes twice"));
            }
        }
        Ok(Self(labels))
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(label, _)| *label == name).map(|(_, value)| value)
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is equal for equal labels in any order, without the label `but`. 0xFF is in no text.
    pub(super) fn key(&self, but: Option<&str>) -> Vec<u8> {
        let mut sorted: Vec<_> = self.iter().filter(|(name, _)| Some(*name) != but).collect();
        sorted.sort_unstable();
        let mut key =
            Vec::with_capacity(sorted.iter().map(|(name, value)| name.len() + value.len() + 2).sum());
        for (name, value) in sorted {
            for text in [name, value] {
                key.extend_from_slice(text.as_bytes());
                key.push(0xFF);
            }
        }
        key
    }
}

impl Series {
    /// A series of a family of this kind.
    pub fn new(kind: Kind, suffix: Suffix, mut labels: Labels) -> Result<Self, String> {
        if !kind.has(suffix) {
            let suffix = if suffix == Suffix::Value { "without a suffix" } else { suffix.text() };
            return Err(format!("a {} has no series {suffix}", kind.word()));
        }
        if let Some(inner) = kind.inner_label(suffix) {
            let Some((_, value)) = labels.0.iter_mut().find(|(name, _)| name == inner) else {
                return Err(format!("a series of a {} has no label {inner}", kind.word()));
            };
            let bound = number::parse(value).filter(|bound| !bound.is_nan());
            *value = number::to_string(bound.ok_or_else(|| format!("{inner}={value:?} is no number"))?);
        }
        Ok(Self { suffix, labels })
    }

    /// Whether it could have been made for a family of this kind.
    pub(super) fn fits(&self, kind: Kind) -> bool {
        kind.has(self.suffix)
            && kind.inner_label(self.suffix).is_none_or(|inner| self.labels.get(inner).is_some())
    }

    /// Its suffix.
    #[must_use]
    pub fn suffix(&self) -> Suffix {
        self.suffix
    }

    /// Its labels.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The bucket's `le`, or the quantile.
    pub(super) fn bound(&self, kind: Kind) -> Option<f64> {
        number::parse(self.labels.get(kind.inner_label(self.suffix)?)?)
    }

    /// What is equal for the same series of two members of a family.
    pub(super) fn key(&self) -> Vec<u8> {
        let mut key = self.labels.key(None);
        key.push(self.suffix as u8);
        key
    }
}

/// Whether it is a metric's name (Prometheus' data model; prom-client takes no others).
#[must_use]
pub fn is_metric_name(name: &str) -> bool {
    is_name(name, |byte| byte == b':')
}

fn is_label_name(name: &str) -> bool {
    is_name(name, |_| false)
}

fn is_name(name: &str, also: impl Fn(u8) -> bool) -> bool {
    let starts = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || also(byte);
    name.len() <= MAX_NAME
        && name.bytes().next().is_some_and(starts)
        && name.bytes().all(|byte| starts(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn labels(of: &[(&str, &str)]) -> Result<Labels, String> {
        Labels::new(of.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn names_follow_the_rules_of_prometheus() {
        assert!(is_metric_name("a:b_1") && is_metric_name("_x"));
        assert!(
            !is_metric_name("") && !is_metric_name("1a") && !is_metric_name("a-b") && !is_metric_name("é")
        );
        assert!(labels(&[("a:b", "")]).unwrap_err().contains("a:b"));
        assert!(labels(&[("a", "1"), ("a", "2")]).unwrap_err().contains("twice"));
    }

    #[test]
    fn a_series_fits_its_kind() {
        assert!(Series::new(Kind::Gauge, Suffix::Sum, Labels::default()).is_err());
        assert!(Series::new(Kind::Histogram, Suffix::Value, Labels::default()).is_err());
        assert!(Series::new(Kind::Histogram, Suffix::Bucket, Labels::default()).unwrap_err().contains("le"));
        assert!(Series::new(Kind::Summary, Suffix::Value, labels(&[("quantile", "x")]).unwrap()).is_err());
    }

    #[test]
    fn one_bucket_may_be_written_in_two_ways() {
        let bucket =
            |le| Series::new(Kind::Histogram, Suffix::Bucket, labels(&[("le", le)]).unwrap()).unwrap();
        assert_eq!(bucket("1.0"), bucket("1"));
        assert_eq!(bucket("inf").labels().get("le"), Some("+Inf"));
    }

    #[test]
    fn the_order_of_labels_does_not_tell_series_apart_and_separators_do_not_mix() {
        let key = |of: &[(&str, &str)]| labels(of).unwrap().key(None);
        assert_eq!(key(&[("a", "1"), ("b", "2")]), key(&[("b", "2"), ("a", "1")]));
        assert_ne!(key(&[("a", "1b")]), key(&[("a", "1"), ("b", "")]));
    }
}
