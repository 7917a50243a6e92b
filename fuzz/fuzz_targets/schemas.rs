//! Schemas, one a line and each of another member: what is one stays the same when it is written again, and the group's
//! text can be made of all of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use process_agent::metrics::aggregate::Aggregate;
use process_agent::metrics::render::{Options, Quantiles};
use process_agent::metrics::schema::Schema;
use process_agent::metrics::snapshot::Snapshot;
use process_agent::metrics::write::Format;
use process_agent::metrics::Incarnation;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut aggregate = Aggregate::new();
    let mut members = Vec::new();
    for (pid, line) in (1..).zip(text.lines()) {
        let Ok(schema) = Schema::from_json(line) else { continue };
        let again = Schema::from_json(&schema.to_json()).expect("a schema");
        assert_eq!(again.id(), schema.id());
        assert_eq!(again, schema);
        let who = Incarnation { started_at: 0, pid, thread: 0, application: 0 };
        let values = (0..schema.columns()).map(|n| n as f64 / 2.0).collect();
        if let Ok(schema) = aggregate.put_schema(who, schema) {
            let snapshot = Snapshot { schema, sequence: 1, time_ms: 1, values, exemplars: Vec::new() };
            aggregate.put_snapshot(who, snapshot).expect("it fits");
            members.push(who);
        }
    }
    for members_apart in [false, true] {
        let options = Options { members_apart, slots: false, quantiles: Quantiles::Max };
        for format in [Format::Text, Format::OpenMetrics] {
            let rendered = aggregate.render(format, options, &[]);
            assert!(std::str::from_utf8(&rendered.text).is_ok());
        }
        for who in members.drain(..) {
            assert!(aggregate.forget(who));
        }
    }
});
