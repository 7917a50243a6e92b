//! The two text formats, written.
//!
//! Where they differ: OpenMetrics 1.0 calls an untyped family `unknown`, a counter `x_total` a family `x` with a series
//! `x_total`, escapes quotes in help texts, has `_created` series, exemplars on counters and buckets, and ends with
//! `# EOF`. In 0.0.4 `_created` series are left out, as Go's writer does, because there they would be families of their
//! own. A blank line stands between families of 0.0.4, as prom-client writes it. Timestamps of samples are never
//! written: a sum over members has none.
//!
//! What a line begins with is made once ([`Head`], [`header`]) and is only copied afterwards.

use std::borrow::Cow;

use crate::metrics::model::{Exemplar, Family, Kind, Labels, Suffix};
use crate::metrics::number;

/// A text format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format.
    #[default]
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The `Content-Type` of an answer in it (prom-client's constants).
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format of that `Content-Type`, whatever its other parameters.
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Self {
        let media = content_type.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// Whether series with this suffix are written.
    pub(super) fn writes(self, suffix: Suffix) -> bool {
        self == Self::OpenMetrics || suffix != Suffix::Created
    }
}

/// What a line begins with: `name{a="1"` or `name`, to which a label may still be added.
#[derive(Debug)]
pub struct Head {
    start: Box<[u8]>,
    labelled: bool,
}

impl Head {
    /// Of a series with these labels.
    #[must_use]
    pub fn new(family: &str, kind: Kind, suffix: Suffix, labels: &Labels, format: Format) -> Self {
        let mut start = Vec::with_capacity(family.len() + 16 * labels.len() + 8);
        if format == Format::OpenMetrics && kind == Kind::Counter {
            start.extend_from_slice(open_name(family, kind).as_bytes());
            start.extend_from_slice(if suffix == Suffix::Value { b"_total" } else { b"_created" });
        } else {
            start.extend_from_slice(family.as_bytes());
            start.extend_from_slice(suffix.text().as_bytes());
        }
        for (at, (name, value)) in labels.iter().enumerate() {
            start.push(if at == 0 { b'{' } else { b',' });
            write_label(&mut start, name, value);
        }
        Self { start: start.into(), labelled: !labels.is_empty() }
    }

    /// The line up to its value; `extra` is one more label, already written.
    pub fn write(&self, out: &mut Vec<u8>, extra: &[u8]) {
        out.extend_from_slice(&self.start);
        match (self.labelled, extra.is_empty()) {
            (true, true) => out.extend_from_slice(b"} "),
            (false, true) => out.push(b' '),
            (labelled, false) => {
                out.push(if labelled { b',' } else { b'{' });
                out.extend_from_slice(extra);
                out.extend_from_slice(b"} ");
            }
        }
    }
}

/// A family's name in OpenMetrics.
pub(super) fn open_name(name: &str, kind: Kind) -> &str {
    if kind == Kind::Counter {
        name.strip_suffix("_total").unwrap_or(name)
    } else {
        name
    }
}

/// The lines `# HELP` and `# TYPE`. An empty help is left out.
pub(super) fn header(name: &str, help: &str, kind: Kind, format: Format) -> Vec<u8> {
    let (name, word, quotes) = match format {
        Format::Text => (name, kind.word(), false),
        Format::OpenMetrics if kind == Kind::Untyped => (name, "unknown", true),
        Format::OpenMetrics => (open_name(name, kind), kind.word(), true),
    };
    let help =
        if help.is_empty() { String::new() } else { format!("# HELP {name} {}\n", escape(help, quotes)) };
    format!("{help}# TYPE {name} {word}\n").into_bytes()
}

/// `name="value"`
pub(super) fn write_label(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    out.extend_from_slice(escape(value, true).as_bytes());
    out.push(b'"');
}

/// The rest of a line: the value and, in OpenMetrics, an exemplar where it may stand.
pub(super) fn write_value(out: &mut Vec<u8>, value: f64, exemplar: Option<&Exemplar>) {
    number::write(out, value);
    if let Some(exemplar) = exemplar {
        out.extend_from_slice(b" # {");
        for (at, (name, value)) in exemplar.labels.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_label(out, name, value);
        }
        out.extend_from_slice(b"} ");
        number::write(out, exemplar.value);
        if let Some(timestamp) = exemplar.timestamp {
            out.push(b' ');
            number::write(out, timestamp);
        }
    }
    out.push(b'\n');
}

/// Whether OpenMetrics allows an exemplar there.
pub(super) fn takes_exemplar(kind: Kind, suffix: Suffix) -> bool {
    matches!((kind, suffix), (Kind::Counter, Suffix::Value) | (Kind::Histogram, Suffix::Bucket))
}

/// One family, in the order of its samples.
pub(super) fn write_family(out: &mut Vec<u8>, family: &Family, format: Format) {
    begin_family(out, format);
    out.extend_from_slice(&header(&family.name, &family.help, family.kind, format));
    for sample in &family.samples {
        let suffix = sample.series.suffix();
        if !format.writes(suffix) {
            continue;
        }
        Head::new(&family.name, family.kind, suffix, sample.series.labels(), format).write(out, b"");
        let may = format == Format::OpenMetrics && takes_exemplar(family.kind, suffix);
        write_value(out, sample.value, sample.exemplar.as_ref().filter(|_| may));
    }
}

/// What stands between families.
pub(super) fn begin_family(out: &mut Vec<u8>, format: Format) {
    if format == Format::Text && !out.is_empty() {
        out.push(b'\n');
    }
}

/// What stands at the end.
pub(super) fn finish(out: &mut Vec<u8>, format: Format) {
    if format == Format::OpenMetrics {
        out.extend_from_slice(b"# EOF\n");
    }
}

/// A whole exposition.
#[must_use]
pub fn write(families: &[Family], format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    for family in families {
        write_family(&mut out, family, format);
    }
    finish(&mut out, format);
    out
}

fn escape(text: &str, quotes: bool) -> Cow<'_, str> {
    let special = |byte: u8| byte == b'\\' || byte == b'\n' || (quotes && byte == b'"');
    if !text.bytes().any(special) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        match char {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '"' if quotes => escaped.push_str("\\\""),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::metrics::model::{Aggregator, Sample, Series};

    fn labels(of: &[(&str, &str)]) -> Labels {
        Labels::new(of.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()).unwrap()
    }

    fn family() -> Family {
        let sample = |suffix, of: &[(&str, &str)], value, exemplar| Sample {
            series: Series::new(Kind::Counter, suffix, labels(of)).unwrap(),
            value,
            exemplar,
        };
        let exemplar = Exemplar { labels: labels(&[("id", "1")]), value: 2.0, timestamp: Some(1.5) };
        Family {
            name: "a_total".into(),
            help: "a \"b\" \\ c\nd".into(),
            kind: Kind::Counter,
            aggregator: Aggregator::Sum,
            samples: vec![
                sample(Suffix::Value, &[("x", "1\"\\\n2"), ("y", "é")], 3.0, Some(exemplar)),
                sample(Suffix::Created, &[], 4.5, None),
            ],
        }
    }

    #[test]
    fn the_text_format() {
        let untyped = Family { kind: Kind::Untyped, samples: Vec::new(), ..family() };
        assert_eq!(
            String::from_utf8(write(&[family(), untyped], Format::Text)).unwrap(),
            "# HELP a_total a \"b\" \\\\ c\\nd\n# TYPE a_total counter\na_total{x=\"1\\\"\\\\\\n2\",y=\"é\"} 3\n\n\
             # HELP a_total a \"b\" \\\\ c\\nd\n# TYPE a_total untyped\n"
        );
    }

    #[test]
    fn open_metrics() {
        assert_eq!(
            String::from_utf8(write(&[family()], Format::OpenMetrics)).unwrap(),
            "# HELP a a \\\"b\\\" \\\\ c\\nd\n# TYPE a counter\n\
             a_total{x=\"1\\\"\\\\\\n2\",y=\"é\"} 3 # {id=\"1\"} 2 1.5\na_created 4.5\n# EOF\n"
        );
    }

    #[test]
    fn a_counter_that_is_not_called_total_is_so_in_open_metrics() {
        let family = Family { name: "a".into(), help: String::new(), ..family() };
        let text = String::from_utf8(write(&[family], Format::OpenMetrics)).unwrap();
        assert!(text.starts_with("# TYPE a counter\na_total{"), "{text}");
    }

    #[test]
    fn formats_are_told_by_their_content_type() {
        for format in [Format::Text, Format::OpenMetrics] {
            assert_eq!(Format::of_content_type(format.content_type()), format);
        }
        assert_eq!(Format::of_content_type("application/openmetrics-text"), Format::OpenMetrics);
    }
}
