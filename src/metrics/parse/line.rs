//! One line of an exposition.

use crate::metrics::model::{is_metric_name, Exemplar, Labels};
use crate::metrics::number;
use crate::metrics::write::Format;

/// What a line says.
#[derive(Debug, PartialEq)]
pub enum Line<'a> {
    /// A blank line or a comment.
    Nothing,
    /// `# HELP`
    Help { name: &'a str, text: String },
    /// `# TYPE`
    Type { name: &'a str, word: &'a str },
    /// `# UNIT`
    Unit { name: &'a str, unit: &'a str },
    /// `# EOF`
    End,
    /// A value.
    Sample(RawSample<'a>),
}

/// A sample whose name may still have a suffix.
#[derive(Debug, PartialEq)]
pub struct RawSample<'a> {
    pub name: &'a str,
    pub labels: Labels,
    pub value: f64,
    pub exemplar: Option<Exemplar>,
}

const BLANK: [char; 2] = [' ', '\t'];

/// Reads a line; the error is the reason, without the line's number.
pub fn read(text: &str, format: Format) -> Result<Line<'_>, String> {
    let text = if format == Format::Text { text.trim_start_matches(BLANK) } else { text };
    if text.is_empty() {
        return Ok(Line::Nothing);
    }
    if let Some(comment) = text.strip_prefix('#') {
        return read_comment(comment, format);
    }
    let (name, rest) = split_name(text)?;
    let (labels, rest) = match rest.trim_start_matches(BLANK).strip_prefix('{') {
        Some(rest) => read_labels(rest)?,
        None => (Labels::default(), rest),
    };
    let (rest, exemplar) = match rest.split_once(" # ") {
        Some((rest, exemplar)) if format == Format::OpenMetrics => (rest, Some(read_exemplar(exemplar)?)),
        _ => (rest, None),
    };
    let (value, _timestamp) = read_value(rest)?;
    Ok(Line::Sample(RawSample { name, labels, value, exemplar }))
}

fn read_comment(comment: &str, format: Format) -> Result<Line<'_>, String> {
    if format == Format::OpenMetrics && comment == " EOF" {
        return Ok(Line::End);
    }
    let comment = comment.trim_start_matches(BLANK);
    let (keyword, rest) = comment.split_once(BLANK).unwrap_or((comment, ""));
    let rest = rest.trim_start_matches(BLANK);
    let (name, rest) = rest.split_once(BLANK).unwrap_or((rest, ""));
    let line = match keyword {
        "HELP" => Line::Help { name, text: unescape(rest, format == Format::OpenMetrics) },
        "TYPE" => Line::Type { name, word: rest.trim_matches(BLANK) },
        "UNIT" if format == Format::OpenMetrics => Line::Unit { name, unit: rest },
        _ => return Ok(Line::Nothing),
    };
    if is_metric_name(name) {
        Ok(line)
    } else {
        Err(format!("{name:?} is no metric name"))
    }
}

fn split_name(text: &str) -> Result<(&str, &str), String> {
    let end = text.find([' ', '\t', '{']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if is_metric_name(name) {
        Ok((name, rest))
    } else {
        Err(format!("{name:?} is no metric name"))
    }
}

/// What follows `{`, up to and with `}`.
fn read_labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(BLANK);
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((Labels::new(labels)?, rest));
        }
        let (name, value) = rest.split_once('=').ok_or("the line ends within its labels")?;
        let value = value.trim_start_matches(BLANK);
        let name = name.trim_matches(BLANK);
        let value = value.strip_prefix('"').ok_or_else(|| format!("no quote after {name}="))?;
        let end = closing_quote(value).ok_or_else(|| format!("the line ends within the value of {name}"))?;
        let (value, after) = value.split_at(end);
        labels.push((name.to_owned(), unescape(value, true)));
        rest = after[1..].trim_start_matches(BLANK);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return Err(format!("neither a comma nor a brace after label {name}")),
        }
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

/// `value [timestamp]`
fn read_value(text: &str) -> Result<(f64, Option<f64>), String> {
    let mut words = text.split(BLANK).filter(|word| !word.is_empty());
    let value = words.next().ok_or("there is no value")?;
    let value = number::parse(value).ok_or_else(|| format!("{value:?} is no number"))?;
    let timestamp = words
        .next()
        .map(|word| number::parse(word).ok_or_else(|| format!("{word:?} is no timestamp")))
        .transpose()?;
    match words.next() {
        Some(word) => Err(format!("{word:?} after the timestamp")),
        None => Ok((value, timestamp)),
    }
}

fn read_exemplar(text: &str) -> Result<Exemplar, String> {
    let text = text.strip_prefix('{').ok_or("an exemplar begins with its labels")?;
    let (labels, rest) = read_labels(text)?;
    let (value, timestamp) = read_value(rest)?;
    Ok(Exemplar { labels, value, timestamp })
}

/// What is not known as an escape stays as it is.
fn unescape(text: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            out.push(char);
            continue;
        }
        match chars.next() {
            Some('\\') | None => out.push('\\'),
            Some('n') => out.push('\n'),
            Some('"') if quotes => out.push('"'),
            Some(other) => out.extend(['\\', other]),
        }
    }
    out
}
