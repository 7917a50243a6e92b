//! How long it takes: `cargo test --release --lib metrics::tests::timing -- --ignored --nocapture`

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::metrics::aggregate::Aggregate;
use crate::metrics::number;
use crate::metrics::render::{Options, Quantiles};
use crate::metrics::schema::Schema;
use crate::metrics::snapshot::Snapshot;
use crate::metrics::tests::process;
use crate::metrics::write::Format;

const SERIES: usize = 500;

/// 30 histograms of 13 series, 80 counters and 30 gauges; `shift` gives other label values.
fn schema(shift: usize) -> Schema {
    let mut families = Vec::new();
    let histogram = |n: usize| {
        let labels = format!(r#""route":"/api/{n}","method":"GET""#);
        let bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"];
        let buckets = bounds.map(|le| format!(r#"["_bucket",{{"le":"{le}",{labels}}}]"#)).join(",");
        format!(r#"{buckets},["_sum",{{{labels}}}],["_count",{{{labels}}}]"#)
    };
    let series: Vec<_> = (0..30).map(|n| histogram(n + shift)).collect();
    families.push(format!(
        r#"{{"name":"http_request_duration_seconds","help":"How long requests took.","type":"histogram","series":[{}]}}"#,
        series.join(",")
    ));
    for family in 0..8 {
        let series: Vec<_> =
            (0..10).map(|n| format!(r#"["",{{"status":"{}","queue":"mail"}}]"#, n + shift)).collect();
        families.push(format!(
            r#"{{"name":"jobs_{family}_total","help":"Jobs that were done.","type":"counter","series":[{}]}}"#,
            series.join(",")
        ));
    }
    for family in 0..30 {
        families.push(format!(
            r#"{{"name":"nodejs_gauge_{family}_bytes","help":"Bytes.","type":"gauge","series":[["",{{}}]]}}"#
        ));
    }
    Schema::from_json(&format!("{{\"families\":[{}]}}", families.join(","))).unwrap()
}

#[expect(clippy::cast_precision_loss, reason = "small")]
fn values(seed: usize) -> Vec<f64> {
    (0..SERIES)
        .map(|n| if n % 13 == 11 { (n * 7919 + seed) as f64 / 997.0 } else { (n * 31 + seed) as f64 })
        .collect()
}

fn best(mut work: impl FnMut()) -> Duration {
    let rounds = (0..15).map(|_| {
        let began = Instant::now();
        work();
        began.elapsed()
    });
    rounds.min().unwrap_or_default()
}

fn filled(members: u32, apart: usize) -> (Aggregate, Vec<Vec<u8>>) {
    let mut aggregate = Aggregate::new();
    let mut snapshots = Vec::new();
    for (n, seed) in (0..members).zip(0..) {
        let schema = aggregate.put_schema(process(n), schema(seed * apart)).unwrap();
        let snapshot =
            Snapshot { schema, sequence: 1, time_ms: 1, values: values(seed), exemplars: Vec::new() };
        snapshots.push(snapshot.encode());
        aggregate.put_snapshot(process(n), snapshot).unwrap();
    }
    (aggregate, snapshots)
}

#[test]
#[ignore = "prints times, in release"]
fn scrapes() {
    assert_eq!(schema(0).columns(), SERIES);
    let apart = Options { members_apart: true, slots: false, quantiles: Quantiles::Drop };
    for (members, other) in [(4, 0), (16, 0), (64, 0), (64, 1)] {
        let (mut aggregate, snapshots) = filled(members, other);
        let mut sequence = 1;
        let put = best(|| {
            sequence += 1;
            for (n, bytes) in (0..).zip(&snapshots) {
                let mut snapshot = Snapshot::decode(bytes).unwrap();
                snapshot.sequence = sequence;
                aggregate.put_snapshot(process(n), snapshot).unwrap();
            }
        });
        let mut size = 0;
        let text = best(|| size = aggregate.render(Format::Text, Options::default(), &[]).text.len());
        let open = best(|| drop(aggregate.render(Format::OpenMetrics, Options::default(), &[])));
        let members_apart = best(|| drop(aggregate.render(Format::Text, apart, &[])));
        let mut state = Vec::new();
        let to_bytes = best(|| state = aggregate.to_bytes());
        let from_bytes = best(|| drop(Aggregate::from_bytes(&state, 1).unwrap()));
        println!(
            "{members} members, {} schemas: decode and put all {put:?}, render {text:?} ({size} bytes), OpenMetrics {open:?}, \
             apart {members_apart:?}, to_bytes {to_bytes:?} ({} bytes), from_bytes {from_bytes:?}",
            if other == 0 { 1 } else { members },
            state.len()
        );
    }
}

#[test]
#[ignore = "prints times, in release"]
fn parts() {
    let json = schema(0).to_json();
    let read = best(|| drop(black_box(Schema::from_json(&json).unwrap())));
    println!("schema of {SERIES} series: {} bytes of JSON, read in {read:?}", json.len());
    let (mut aggregate, _) = filled(1, 0);
    let text = aggregate.render(Format::Text, Options::default(), &[]).text;
    let parsed = best(|| drop(black_box(crate::metrics::parse::parse(&text, Format::Text).unwrap())));
    println!("text of {} bytes, parsed in {parsed:?}", text.len());
    let fractions: Vec<f64> = values(3).iter().map(|value| value / 7.0).collect();
    for (what, numbers) in [("mixed", values(3)), ("fractions", fractions)] {
        let mut out = Vec::with_capacity(64 * SERIES);
        let own = best(|| {
            out.clear();
            for value in &numbers {
                number::write(&mut out, *value);
            }
        });
        let zmij = best(|| {
            out.clear();
            for value in &numbers {
                serde_json::to_writer(&mut out, value).unwrap();
            }
        });
        let std = best(|| {
            out.clear();
            for value in &numbers {
                write!(out, "{value}").unwrap();
            }
        });
        println!("{SERIES} numbers ({what}): own {own:?}, zmij {zmij:?}, std {std:?}");
    }
    // One in ten has changed: XOR with the last, a bitmap of what is not zero, and the bytes that are not.
    let (last, mut now) = (values(0), values(0));
    now.iter_mut().step_by(10).for_each(|value| *value += 3.0);
    let mut out = Vec::new();
    let xor = best(|| {
        out.clear();
        let mut gap = 0_u8;
        for (old, new) in last.iter().zip(&now) {
            let bits = old.to_bits() ^ new.to_bits();
            if bits == 0 && gap < u8::MAX {
                gap += 1;
            } else {
                let zeros = bits.trailing_zeros().min(63) / 8;
                let bytes = (bits >> (zeros * 8)).to_le_bytes();
                let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
                out.extend_from_slice(&[
                    gap,
                    u8::try_from(zeros * 16).unwrap() | u8::try_from(length).unwrap(),
                ]);
                out.extend_from_slice(&bytes[..length]);
                gap = 0;
            }
        }
    });
    let raw = best(|| drop(black_box(crate::metrics::wire::numbers(black_box(&[0; SERIES * 8])))));
    println!(
        "snapshot: raw {} bytes, read in {raw:?}; XOR, a tenth changed: {} bytes, written in {xor:?}",
        SERIES * 8,
        out.len()
    );
}
