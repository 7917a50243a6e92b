//! The two text formats, read: for a member that has only text, and for tests.
//!
//! Complete: escapes, timestamps (read and dropped: a sum over members has none), exemplars, comments, `# EOF`, all
//! spellings of NaN and infinity. An error names its line. Where the text is bad, nothing of it is taken.
//!
//! * An unknown escape stays as it is written (Python's parser does so, too).
//! * In OpenMetrics a counter's family `x` becomes `x_total`, the name that it has in the text format; `info` and
//!   `stateset` families become gauges of their series' names, and those of a `gaugehistogram` untyped families, as
//!   they would be in the text format; `# UNIT` is checked and dropped.
//! * A sample without a `# TYPE` is untyped.

mod families;
mod line;

use crate::metrics::error::{MetricsError, Result};
use crate::metrics::limits::MAX_INPUT;
use crate::metrics::model::Family;
use crate::metrics::parse::families::Families;
use crate::metrics::parse::line::Line;
use crate::metrics::write::Format;

/// Reads an exposition. Aggregators are `sum`: text doesn't say.
pub fn parse(text: &[u8], format: Format) -> Result<Vec<Family>> {
    if text.len() > MAX_INPUT {
        return Err(MetricsError::BadText { line: 1, reason: format!("longer than {MAX_INPUT} bytes") });
    }
    let mut families = Families::new(format);
    let mut ended = false;
    let mut count = 0;
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    for bytes in body.split(|byte| *byte == b'\n') {
        count += 1;
        let bad = |reason: String| MetricsError::BadText { line: count, reason };
        let text = std::str::from_utf8(bytes).map_err(|_| bad("it is no UTF-8".to_owned()))?;
        if ended {
            return Err(bad("there is more after # EOF".to_owned()));
        }
        match line::read(text, format).map_err(bad)? {
            Line::End => ended = true,
            Line::Nothing if format == Format::OpenMetrics && !body.is_empty() => {
                return Err(bad("neither blank lines nor comments are allowed".to_owned()));
            }
            Line::Nothing => {}
            Line::Help { name, text } => families.help(name, text).map_err(bad)?,
            Line::Type { name, word } => families.declare(name, word).map_err(bad)?,
            Line::Unit { name, unit } if unit.is_empty() || name.ends_with(&format!("_{unit}")) => {}
            Line::Unit { name, unit } => {
                return Err(bad(format!("{name} does not end with its unit {unit}")))
            }
            Line::Sample(sample) => families.add(sample).map_err(bad)?,
        }
    }
    if format == Format::OpenMetrics && !ended {
        return Err(MetricsError::BadText { line: count, reason: "it does not end with # EOF".to_owned() });
    }
    Ok(families.finish())
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test fails by panicking, and means exact numbers"
)]
mod tests {
    use super::*;
    use crate::metrics::model::{Kind, Suffix};

    fn text(text: &str) -> Vec<Family> {
        parse(text.as_bytes(), Format::Text).unwrap()
    }

    fn open(text: &str) -> Vec<Family> {
        parse(text.as_bytes(), Format::OpenMetrics).unwrap()
    }

    fn refused(text: &str, format: Format) -> String {
        parse(text.as_bytes(), format).unwrap_err().to_string()
    }

    #[test]
    fn prometheus_own_example_is_read() {
        let families = text(concat!(
            "# HELP http_requests_total The total number of HTTP requests.\n",
            "# TYPE http_requests_total counter\n",
            "http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n",
            "http_requests_total{method=\"post\",code=\"400\"}    3 1395066363000\n\n",
            "# Escaping in label values:\n",
            "msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot find file:\\n\\\"F\\\"\"} 1.458255915e9\n\n",
            "metric_without_timestamp_and_labels 12.47\n",
            "something_weird{problem=\"division by zero\",} +Inf -3982045\n",
            "# TYPE rpc_duration_seconds summary\n",
            "rpc_duration_seconds { quantile = \"0.01\" } 3102\n",
            "rpc_duration_seconds_sum 1.7560473e+07\n",
            "rpc_duration_seconds_count 2693",
        ));
        assert_eq!(families.len(), 5);
        assert_eq!(families[0].help, "The total number of HTTP requests.");
        assert_eq!(families[0].samples[1].value, 3.0);
        let labels = families[1].samples[0].series.labels();
        assert_eq!(labels.get("path"), Some("C:\\DIR\\FILE.TXT"));
        assert_eq!(labels.get("error"), Some("Cannot find file:\n\"F\""));
        assert_eq!(families[2].kind, Kind::Untyped);
        assert_eq!(families[3].samples[0].value, f64::INFINITY);
        assert_eq!(families[4].samples.len(), 3);
        assert_eq!(families[4].samples[2].series.suffix(), Suffix::Count);
    }

    #[test]
    fn open_metrics_is_read() {
        let families = open(concat!(
            "# TYPE a counter\n# UNIT a_seconds seconds\n# HELP a it \\\"counts\\\"\n",
            "a_total{x=\"1\"} 17.0 1520879607.789 # {trace_id=\"K,}\"} 0.67 1.5\na_created{x=\"1\"} 1.5e9\n",
            "# TYPE b histogram\nb_bucket{le=\"1.0\"} 2 # {} 1\nb_bucket{le=\"+Inf\"} 3\nb_count 3\nb_sum NaN\n",
            "# TYPE c info\nc_info{v=\"1\"} 1\n# TYPE d stateset\nd{d=\"x\"} 0\n# TYPE e unknown\ne -Inf\n",
            "# TYPE f gaugehistogram\nf_bucket{le=\"1\"} 2\nf_gcount 2\nf_gsum 1\n# EOF\n",
        ));
        let of = |name: &str| families.iter().find(|family| family.name == name).unwrap();
        assert_eq!(of("a_total").help, "it \"counts\"");
        let exemplar = of("a_total").samples[0].exemplar.as_ref().unwrap();
        assert_eq!((exemplar.value, exemplar.timestamp), (0.67, Some(1.5)));
        assert_eq!(exemplar.labels.get("trace_id"), Some("K,}"));
        assert_eq!(of("a_total").samples[1].series.suffix(), Suffix::Created);
        assert_eq!(of("b").samples[0].series.labels().get("le"), Some("1"));
        assert!(of("b").samples[3].value.is_nan());
        assert_eq!((of("c_info").kind, of("d").kind), (Kind::Gauge, Kind::Gauge));
        assert_eq!((of("e").kind, of("f_gcount").kind), (Kind::Untyped, Kind::Untyped));
        assert_eq!(open("# EOF\n"), Vec::new());
        assert_eq!(text(""), Vec::new());
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (bad, part) in [
            ("a 1\na{ 2\n", "line 2"),
            ("a{x=\"1} 2", "ends"),
            ("a{x=1} 2", "quote"),
            ("a{x=\"1\" y=\"2\"} 2", "line 1"),
            ("a{x=\"1\",x=\"2\"} 2", "twice"),
            ("a one", "number"),
            ("a 1 2 3", "line 1"),
            ("a 1 noon", "timestamp"),
            ("a", "value"),
            ("1a 2", "name"),
            ("a 1\na 2", "twice"),
            ("a 1\n# TYPE a gauge", "after"),
            ("# TYPE a gauge\n# TYPE a gauge", "twice"),
            ("# TYPE a speed", "speed"),
            ("# TYPE a histogram\na_bucket 1", "le"),
            ("# TYPE a histogram\na 1", "histogram"),
            ("a 1 # {} 1", "line 1"),
        ] {
            let text = refused(bad, Format::Text);
            assert!(text.contains(part), "{bad}: {text}");
        }
        for (bad, part) in [
            ("a 1", "EOF"),
            ("# EOF\na 1", "after"),
            ("a 1\n\n# EOF", "blank"),
            ("# hello\n# EOF", "line 1"),
            ("# TYPE a counter\na 1\n# EOF", "_total"),
            ("# TYPE a gauge\na 1 # {x=\"1\"} 1\n# EOF", "exemplar"),
            ("# TYPE a counter\na_total 1 # {x=\"1\"}\n# EOF", "value"),
        ] {
            let text = refused(bad, Format::OpenMetrics);
            assert!(text.contains(part), "{bad}: {text}");
        }
        assert!(parse(b"a \xFF", Format::Text).unwrap_err().to_string().contains("UTF-8"));
    }
}
