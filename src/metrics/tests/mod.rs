//! What holds for the room as a whole. Unit tests are beside what they test.

mod adopting;
mod folding;
mod merging;
mod never_falls;
mod round_trips;
mod threads;
mod timing;

use crate::metrics::aggregate::{Aggregate, Put};
use crate::metrics::member::Incarnation;
use crate::metrics::model::Family;
use crate::metrics::parse::parse;
use crate::metrics::render::Options;
use crate::metrics::write::Format;

/// The n-th process, by age.
pub fn process(n: u32) -> Incarnation {
    Incarnation { started_at: u64::from(n), pid: 100 + n, thread: 0, application: 0 }
}

/// Puts a snapshot: schema (JSON, without the outermost object), time, values.
pub fn put(aggregate: &mut Aggregate, who: Incarnation, families: &str, time_ms: u64, values: &[f64]) {
    let schema =
        crate::metrics::schema::Schema::from_json(&format!("{{\"families\":[{families}]}}")).unwrap();
    let schema = aggregate.put_schema(who, schema).unwrap();
    let snapshot = crate::metrics::snapshot::Snapshot {
        schema,
        sequence: time_ms,
        time_ms,
        values: values.to_vec(),
        exemplars: Vec::new(),
    };
    assert_eq!(aggregate.put_snapshot(who, snapshot).unwrap(), Put::Taken);
}

/// The text, without HELP and TYPE.
pub fn lines(aggregate: &mut Aggregate, options: Options) -> Vec<String> {
    let text = String::from_utf8(aggregate.render(Format::Text, options, &[]).text).unwrap();
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// The merged text, read again.
pub fn families(aggregate: &mut Aggregate, options: Options) -> Vec<Family> {
    parse(&aggregate.render(Format::Text, options, &[]).text, Format::Text).unwrap()
}
