//! Which of the two text formats a client wants, from its `Accept` headers. No I/O.

use crate::metrics::write::Format;

const OPEN_METRICS: &str = "application/openmetrics-text";
const OPEN_METRICS_VERSION: &str = "1.0.0";
const TEXT: [&str; 3] = ["text/plain", "text/*", "*/*"];

/// The format to answer in. OpenMetrics is for those who name it, and want it no less than text.
pub fn format_of<'a>(accepts: impl Iterator<Item = &'a str>) -> Format {
    let (mut open, mut text) = (0.0_f32, 0.0_f32);
    for range in accepts.flat_map(|accept| accept.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut quality, mut version) = (1.0, None);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                // What is no number is not wanted.
                "q" => quality = value.trim().parse().unwrap_or(0.0),
                "version" => version = Some(value.trim().trim_matches('"')),
                _ => {}
            }
        }
        if media == OPEN_METRICS && version.is_none_or(|version| version == OPEN_METRICS_VERSION) {
            open = open.max(quality);
        } else if TEXT.contains(&media.as_str()) {
            text = text.max(quality);
        }
    }
    if open > 0.0 && open >= text {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Prometheus 3 sends.
    const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
        application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
        text/plain;version=0.0.4;q=0.3,*/*;q=0.2";

    #[test]
    fn text_is_for_all_who_do_not_ask_for_open_metrics() {
        for accept in [
            "",
            "*/*",
            "text/plain",
            "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
            "application/json",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=much",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;q=0.3,text/plain;q=0.5",
            ";;;,=,q=;=q",
        ] {
            assert_eq!(format_of([accept].into_iter()), Format::Text, "{accept}");
        }
        assert_eq!(format_of(std::iter::empty()), Format::Text);
    }

    #[test]
    fn open_metrics_is_for_those_who_want_it_no_less() {
        for accept in [
            PROMETHEUS,
            "application/openmetrics-text",
            "Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8",
            "application/openmetrics-text;q=0.5, text/plain;q=0.5",
        ] {
            assert_eq!(format_of([accept].into_iter()), Format::OpenMetrics, "{accept}");
        }
        let two = ["text/plain;q=0.5", "application/openmetrics-text;q=0.7"];
        assert_eq!(format_of(two.into_iter()), Format::OpenMetrics);
    }
}
