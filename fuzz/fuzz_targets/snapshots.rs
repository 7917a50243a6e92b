//! Snapshots of two members, one after the other: what is one stays the same when it is written again; counts that were
//! shown never fall, whatever comes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use process_agent::metrics::aggregate::Aggregate;
use process_agent::metrics::parse::parse;
use process_agent::metrics::render::Options;
use process_agent::metrics::schema::Schema;
use process_agent::metrics::snapshot::Snapshot;
use process_agent::metrics::write::Format;
use process_agent::metrics::Incarnation;

const SCHEMA: &str = r#"{"families":[
    {"name":"jobs_total","type":"counter","series":[["",{"queue":"mail"}],["",{}]]},
    {"name":"level","type":"gauge","aggregator":"mostrecent","series":[["",{}]]},
    {"name":"d","type":"histogram","series":[["_bucket",{"le":1}],["_bucket",{"le":"+Inf"}],["_sum",{}],["_count",{}]]}]}"#;

fuzz_target!(|data: &[u8]| {
    let schema = Schema::from_json(SCHEMA).expect("a schema");
    let mut aggregate = Aggregate::new();
    let members = [1, 2].map(|pid| Incarnation { started_at: 0, pid, thread: 0, application: 0 });
    for who in members {
        aggregate.put_schema(who, schema.clone()).expect("there is room");
    }
    let mut shown = Vec::new();
    let mut rest = data;
    while let Some((&[length, what], after)) = rest.split_first_chunk() {
        let (bytes, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        let who = members[usize::from(what & 1)];
        if what & 0x80 != 0 && aggregate.forget(who) {
            aggregate.put_schema(who, schema.clone()).expect("there is room");
        }
        let Ok(snapshot) = Snapshot::decode(bytes) else { continue };
        let again = snapshot.encode();
        assert_eq!(Snapshot::decode(&again).expect("a snapshot").encode(), again);
        let _ = aggregate.put_snapshot(who, Snapshot { schema: schema.id(), ..snapshot });
        let counts = counts(&mut aggregate);
        for (before, now) in std::iter::zip(&shown, &counts) {
            assert!(now >= before, "{before} falls to {now}");
        }
        shown = counts;
    }
});

/// All that can't fall.
fn counts(aggregate: &mut Aggregate) -> Vec<f64> {
    let text = aggregate.render(Format::Text, Options::default(), &[]).text;
    let families = parse(&text, Format::Text).expect("what is written can be read");
    let samples =
        families.into_iter().filter(|family| family.name != "level").flat_map(|family| family.samples);
    samples
        .filter(|sample| sample.series.suffix() != process_agent::metrics::model::Suffix::Sum)
        .map(|sample| sample.value)
        .collect()
}
