//! The group's metrics: 16 members with the same 500 series, as an application with histograms has them.

use std::fmt::Write as _;

use criterion::{Criterion, Throughput};

use process_agent::metrics::aggregate::{Aggregate, Put};
use process_agent::metrics::parse::parse;
use process_agent::metrics::render::{Options, Quantiles};
use process_agent::metrics::schema::{Schema, SchemaId};
use process_agent::metrics::snapshot::Snapshot;
use process_agent::metrics::write::Format;
use process_agent::metrics::Incarnation;

const MEMBERS: u32 = 16;
const BOUNDS: [&str; 11] = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"];

pub fn metrics(criterion: &mut Criterion) {
    let text = exposition();
    let (schema, values, _) = Schema::split(parse(text.as_bytes(), Format::Text).unwrap()).unwrap();
    let snapshot = |sequence| Snapshot {
        schema: schema.id(),
        sequence,
        time_ms: 1,
        values: values.clone(),
        exemplars: vec![],
    };
    let bytes = snapshot(1).encode();
    let json = schema.to_json();
    let mut aggregate = Aggregate::new();
    for n in 0..MEMBERS {
        assert_eq!(aggregate.put_schema(process(n), schema.clone()), Ok::<SchemaId, _>(schema.id()));
        assert_eq!(aggregate.put_snapshot(process(n), snapshot(1)), Ok(Put::Taken));
    }

    let mut group = criterion.benchmark_group("metrics");
    group.throughput(Throughput::Elements(values.len() as u64));
    group.bench_function("a schema's JSON is read", |bencher| {
        bencher.iter(|| Schema::from_json(&json).unwrap());
    });
    group.bench_function("an exposition is read", |bencher| {
        bencher.iter(|| parse(text.as_bytes(), Format::Text).unwrap());
    });
    group.bench_function("a snapshot is read", |bencher| bencher.iter(|| Snapshot::decode(&bytes).unwrap()));
    group.throughput(Throughput::Elements(u64::from(MEMBERS)));
    let mut sequence = 1;
    group.bench_function("a snapshot of each of 16 members is read and counts", |bencher| {
        bencher.iter(|| {
            sequence += 1;
            for n in 0..MEMBERS {
                let snapshot = Snapshot { sequence, ..Snapshot::decode(&bytes).unwrap() };
                assert_eq!(aggregate.put_snapshot(process(n), snapshot), Ok(Put::Taken));
            }
        });
    });
    let apart = Options { members_apart: true, slots: false, quantiles: Quantiles::Drop };
    for (name, format, options) in [
        ("merged, as text", Format::Text, Options::default()),
        ("merged, as OpenMetrics", Format::OpenMetrics, Options::default()),
        ("members apart, as text", Format::Text, apart),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| aggregate.render(format, options, &[])));
    }
    group.bench_function("the state is written", |bencher| bencher.iter(|| aggregate.to_bytes()));
    let state = aggregate.to_bytes();
    group.bench_function("the state is read", |bencher| {
        bencher.iter(|| Aggregate::from_bytes(&state, 1).unwrap());
    });
    group.finish();
}

fn process(n: u32) -> Incarnation {
    Incarnation { started_at: u64::from(n), pid: 100 + n, thread: 0, application: 0 }
}

/// 30 histograms of 13 series, 80 counters and 30 gauges.
fn exposition() -> String {
    let mut out = String::from("# TYPE http_request_duration_seconds histogram\n");
    for route in 0..30 {
        let labels = format!("route=\"/api/{route}\",method=\"GET\"");
        let name = "http_request_duration_seconds";
        for (n, le) in BOUNDS.iter().enumerate() {
            writeln!(out, "{name}_bucket{{{labels},le=\"{le}\"}} {}", 31 * (n + route)).unwrap();
        }
        writeln!(out, "{name}_sum{{{labels}}} {route}.4587\n{name}_count{{{labels}}} {}", 31 * (10 + route))
            .unwrap();
    }
    for family in 0..8 {
        writeln!(out, "# TYPE jobs_{family}_total counter").unwrap();
        for status in 0..10 {
            writeln!(out, "jobs_{family}_total{{status=\"{status}\",queue=\"mail\"}} {}", 7919 * status)
                .unwrap();
        }
    }
    for family in 0..30 {
        let name = format!("nodejs_gauge_{family}_bytes");
        writeln!(out, "# TYPE {name} gauge\n{name} {}", 31_415_926 * family).unwrap();
    }
    out
}
