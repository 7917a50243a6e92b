//! The merge rules, from snapshots to text.

use proptest::prelude::*;

use crate::metrics::aggregate::{Aggregate, Put};
use crate::metrics::error::MetricsError;
use crate::metrics::model::{Aggregator, Exemplar, Family, Kind, Labels};
use crate::metrics::render::{Options, Quantiles};
use crate::metrics::schema::{Schema, SchemaId};
use crate::metrics::snapshot::Snapshot;
use crate::metrics::tests::{lines, process, put};
use crate::metrics::write::Format;

const APART: Options = Options { members_apart: true, slots: false, quantiles: Quantiles::Drop };

fn gauge(aggregator: &str) -> String {
    format!(r#"{{"name":"g","type":"gauge","aggregator":"{aggregator}","series":[["",{{}}]]}}"#)
}

const COUNTER: &str = r#"{"name":"c_total","help":"C","type":"counter","series":[["",{"x":"a"}]]}"#;

#[test]
fn counters_histograms_and_summaries_add_up_and_quantiles_do_not() {
    let families = r#"{"name":"c","type":"counter","series":[["",{"x":1}]]},
        {"name":"s","type":"summary","series":[["",{"quantile":0.5}],["_sum",{}],["_count",{}]]},
        {"name":"h","type":"histogram","series":[["_bucket",{"le":1}],["_bucket",{"le":"+Inf"}],["_sum",{}],["_count",{}]]}"#;
    let mut aggregate = Aggregate::new();
    put(&mut aggregate, process(1), families, 1, &[1.0, 7.0, 0.5, 2.0, 1.0, 2.0, 3.5, 2.0]);
    put(&mut aggregate, process(2), families, 1, &[2.0, 9.0, 0.25, 1.0, 0.0, 1.0, 2.0, 1.0]);
    let merged = [
        "c{x=\"1\"} 3",
        "s_sum 0.75",
        "s_count 3",
        "h_bucket{le=\"1\"} 1",
        "h_bucket{le=\"+Inf\"} 3",
        "h_sum 5.5",
        "h_count 3",
    ];
    assert_eq!(lines(&mut aggregate, Options::default()), merged);
    let greatest = Options { quantiles: Quantiles::Max, ..Options::default() };
    assert_eq!(lines(&mut aggregate, greatest)[1], "s{quantile=\"0.5\"} 9");
}

#[test]
fn gauges_go_by_their_aggregator() {
    for (aggregator, expected) in [
        ("sum", vec!["g 6"]),
        ("livesum", vec!["g 6"]),
        ("first", vec!["g 3"]),
        ("min", vec!["g 1"]),
        ("max", vec!["g 3"]),
        ("average", vec!["g 2"]),
        ("mostrecent", vec!["g 1"]),
        ("omit", vec![]),
        ("all", vec!["g{pid=\"101\"} 3", "g{pid=\"102\"} 1", "g{pid=\"103\"} 2"]),
    ] {
        let mut aggregate = Aggregate::new();
        put(&mut aggregate, process(2), &gauge(aggregator), 9, &[1.0]);
        put(&mut aggregate, process(1), &gauge(aggregator), 1, &[3.0]);
        put(&mut aggregate, process(3), &gauge(aggregator), 2, &[2.0]);
        assert_eq!(lines(&mut aggregate, Options::default()), expected, "{aggregator}");
    }
}

#[test]
fn the_most_recent_is_what_was_set_last_not_who_was_asked_last() {
    let mut aggregate = Aggregate::new();
    let families = gauge("mostrecent");
    put(&mut aggregate, process(1), &families, 1, &[5.0]);
    put(&mut aggregate, process(2), &families, 2, &[0.0]);
    put(&mut aggregate, process(2), &families, 3, &[0.0]);
    assert_eq!(lines(&mut aggregate, Options::default()), ["g 5"]);
    put(&mut aggregate, process(2), &families, 4, &[6.0]);
    put(&mut aggregate, process(1), &families, 5, &[5.0]);
    assert_eq!(lines(&mut aggregate, Options::default()), ["g 6"]);
    aggregate.forget(process(2));
    assert_eq!(lines(&mut aggregate, Options::default()), ["g 6"]);
    put(&mut aggregate, process(1), &families, 6, &[0.0]);
    assert_eq!(lines(&mut aggregate, Options::default()), ["g 0"]);
}

#[test]
fn what_dies_leaves_its_counts_and_takes_its_gauges_along() {
    let both = format!("{COUNTER},{}", gauge("sum"));
    let mut aggregate = Aggregate::new();
    put(&mut aggregate, process(1), &both, 1, &[4.0, 10.0]);
    put(&mut aggregate, process(2), &both, 1, &[5.0, 20.0]);
    assert!(aggregate.forget(process(1)) && !aggregate.forget(process(1)));
    assert_eq!(lines(&mut aggregate, Options::default()), ["c_total{x=\"a\"} 9", "g 20"]);
    assert_eq!(
        lines(&mut aggregate, APART),
        ["c_total{x=\"a\",member=\"102\"} 5", "c_total{x=\"a\",member=\"gone\"} 4", "g{member=\"102\"} 20"]
    );
    aggregate.forget(process(2));
    assert_eq!(lines(&mut aggregate, Options::default()), ["c_total{x=\"a\"} 9"]);
    assert_eq!(lines(&mut aggregate, APART), ["c_total{x=\"a\",member=\"gone\"} 9"]);
}

#[test]
fn a_label_of_the_users_own_is_out_of_the_way_of_ours() {
    let families =
        r#"{"name":"g","type":"gauge","aggregator":"all","series":[["",{"pid":"7","member":"m"}]]}"#;
    let mut aggregate = Aggregate::new();
    put(&mut aggregate, process(1), families, 1, &[1.0]);
    assert_eq!(lines(&mut aggregate, Options::default()), [r#"g{exported_pid="7",member="m",pid="101"} 1"#]);
    assert_eq!(lines(&mut aggregate, APART), [r#"g{pid="7",exported_member="m",member="101"} 1"#]);
}

#[test]
fn members_of_one_name_are_told_apart() {
    let mut aggregate = Aggregate::new();
    for (n, name) in [(1, "3"), (2, "3"), (3, "gone"), (4, "4")] {
        put(&mut aggregate, process(n), COUNTER, 1, &[1.0]);
        aggregate.join(process(n), name).unwrap();
    }
    let names = ["3-101-1", "3-102-2", "gone-103-3", "4"];
    assert_eq!(
        lines(&mut aggregate, APART),
        names.map(|name| format!(r#"c_total{{x="a",member="{name}"}} 1"#))
    );
}

#[test]
fn buckets_that_differ_between_members_go_on_being_cumulative() {
    let histogram = |bounds: &str| {
        format!(
            r#"{{"name":"h","type":"histogram","series":[{bounds},["_bucket",{{"le":"+Inf"}}],["_count",{{}}]]}}"#
        )
    };
    let coarse = histogram(r#"["_bucket",{"le":1}],["_bucket",{"le":5}]"#);
    let other = histogram(r#"["_bucket",{"le":2}]"#);
    let mut aggregate = Aggregate::new();
    put(&mut aggregate, process(1), &coarse, 1, &[4.0, 6.0, 10.0, 10.0]);
    put(&mut aggregate, process(2), &other, 1, &[3.0, 4.0, 4.0]);
    let merged = [
        "h_bucket{le=\"1\"} 4",
        "h_bucket{le=\"2\"} 7",
        "h_bucket{le=\"5\"} 9",
        "h_bucket{le=\"+Inf\"} 14",
        "h_count 14",
    ];
    assert_eq!(lines(&mut aggregate, Options::default()), merged);
    aggregate.forget(process(2));
    aggregate.forget(process(1));
    assert_eq!(lines(&mut aggregate, Options::default()), merged);
}

#[test]
fn a_member_that_disagrees_about_the_kind_is_reported_and_left_out_with_that_family_only() {
    let mut aggregate = Aggregate::new();
    aggregate.join(process(2), "second").unwrap();
    put(&mut aggregate, process(2), &format!("{},{COUNTER}", gauge("sum")), 1, &[7.0, 1.0]);
    let counter = format!(r#"{{"name":"g","type":"counter","series":[["",{{}}]]}},{COUNTER}"#);
    put(&mut aggregate, process(1), &counter, 1, &[3.0, 1.0]);
    let rendered = aggregate.render(Format::Text, Options::default(), &[]);
    assert_eq!(rendered.problems.len(), 1);
    assert_eq!(rendered.problems[0].member.as_deref(), Some("second"));
    assert_eq!(rendered.problems[0].family.as_deref(), Some("g"));
    assert_eq!(lines(&mut aggregate, Options::default()), ["c_total{x=\"a\"} 2", "g 3"]);
    aggregate.forget(process(1));
    assert_eq!(lines(&mut aggregate, Options::default()), ["g 7", "c_total{x=\"a\"} 2"]);
    aggregate.forget(process(2));
    assert_eq!(lines(&mut aggregate, Options::default()), ["c_total{x=\"a\"} 2", "g 3"]);
}

#[test]
fn another_help_is_reported_and_leaves_nothing_out() {
    let mut aggregate = Aggregate::new();
    put(&mut aggregate, process(1), COUNTER, 1, &[1.0]);
    put(&mut aggregate, process(2), &COUNTER.replace("\"C\"", "\"New\""), 1, &[1.0]);
    let rendered = aggregate.render(Format::Text, Options::default(), &[]);
    assert_eq!(
        String::from_utf8(rendered.text).unwrap(),
        "# HELP c_total New\n# TYPE c_total counter\nc_total{x=\"a\"} 2\n"
    );
    assert_eq!(rendered.problems[0].member.as_deref(), Some("101"));
}

#[test]
fn refused_messages_are_reported_and_the_last_good_snapshot_counts() {
    let mut aggregate = Aggregate::new();
    put(&mut aggregate, process(1), COUNTER, 1, &[1.0]);
    let error = aggregate.put_text(process(1), b"a{ 1", Format::Text, 2, 2).unwrap_err();
    aggregate.blame(process(1), &error);
    let rendered = aggregate.render(Format::Text, Options::default(), &[]);
    assert!(rendered.problems[0].reason.contains("line 1"), "{rendered:?}");
    assert_eq!(lines(&mut aggregate, Options::default()), ["c_total{x=\"a\"} 1"]);
    aggregate
        .put_text(process(1), b"# TYPE c_total counter\nc_total{x=\"a\"} 2", Format::Text, 3, 3)
        .unwrap();
    assert!(aggregate.render(Format::Text, Options::default(), &[]).problems.is_empty());
    assert_eq!(lines(&mut aggregate, Options::default()), ["c_total{x=\"a\"} 2"]);
}

#[test]
fn a_snapshot_needs_a_known_schema_and_must_be_new() {
    let mut aggregate = Aggregate::new();
    put(&mut aggregate, process(1), COUNTER, 5, &[1.0]);
    let schema = Schema::from_json(&format!("{{\"families\":[{COUNTER}]}}")).unwrap().id();
    let snapshot = Snapshot { schema, sequence: 4, time_ms: 4, values: vec![9.0], exemplars: Vec::new() };
    assert!(aggregate.knows(schema));
    assert_eq!(aggregate.put_snapshot(process(1), snapshot.clone()), Ok(Put::Stale));
    assert_eq!(aggregate.put_snapshot(process(2), snapshot.clone()), Ok(Put::Taken));
    let unknown = Snapshot { schema: SchemaId(1), ..snapshot.clone() };
    assert_eq!(aggregate.put_snapshot(process(3), unknown), Err(MetricsError::UnknownSchema(SchemaId(1))));
    let misfit = Snapshot { values: vec![], ..snapshot };
    assert_eq!(
        aggregate.put_snapshot(process(3), misfit),
        Err(MetricsError::Misfit { schema, values: 0, series: 1 })
    );
    assert_eq!(aggregate.members().count(), 2);
}

#[test]
fn open_metrics_has_the_newest_exemplar_and_one_family_of_a_name() {
    let mut aggregate = Aggregate::new();
    let text = |time: &str| {
        format!("# TYPE c counter\nc_total 1 # {{t=\"{time}\"}} 1 {time}\nc_created {time}\n# EOF\n")
            .into_bytes()
    };
    for (n, time) in [(1, "3"), (2, "5"), (3, "4")] {
        aggregate.put_text(process(n), &text(time), Format::OpenMetrics, 1, 1).unwrap();
    }
    put(&mut aggregate, process(4), r#"{"name":"c","type":"gauge","series":[["",{}]]}"#, 1, &[1.0]);
    let rendered = aggregate.render(Format::OpenMetrics, Options::default(), &[]);
    assert_eq!(
        String::from_utf8(rendered.text).unwrap(),
        "# TYPE c counter\nc_total 3 # {t=\"5\"} 1 5\nc_created 3\n# EOF\n"
    );
    assert_eq!(rendered.problems[0].family.as_deref(), Some("c"));
    assert_eq!(lines(&mut aggregate, Options::default()), ["c_total 3", "c 1"]);
}

#[test]
fn the_agents_own_families_come_last_and_keep_their_names() {
    let mut aggregate = Aggregate::new();
    put(&mut aggregate, process(1), &format!("{},{COUNTER}", gauge("sum")), 1, &[1.0, 2.0]);
    let own = Family {
        name: "g".into(),
        help: String::new(),
        kind: Kind::Gauge,
        aggregator: Aggregator::Sum,
        samples: Vec::new(),
    };
    let rendered = aggregate.render(Format::OpenMetrics, Options::default(), &[own]);
    assert_eq!(
        String::from_utf8(rendered.text).unwrap(),
        "# HELP c C\n# TYPE c counter\nc_total{x=\"a\"} 2\n# TYPE g gauge\n# EOF\n"
    );
    assert_eq!(rendered.problems.len(), 1);
}

#[test]
fn exemplars_of_members_apart_stay_with_their_member() {
    let mut aggregate = Aggregate::new();
    put(&mut aggregate, process(1), COUNTER, 1, &[1.0]);
    let schema = Schema::from_json(&format!("{{\"families\":[{COUNTER}]}}")).unwrap().id();
    let exemplar = Exemplar { labels: Labels::default(), value: 0.5, timestamp: None };
    let exemplars = vec![(0, exemplar)];
    let snapshot = Snapshot { schema, sequence: 2, time_ms: 2, values: vec![2.0], exemplars };
    aggregate.put_snapshot(process(2), snapshot).unwrap();
    let text = String::from_utf8(aggregate.render(Format::OpenMetrics, APART, &[]).text).unwrap();
    assert!(text.contains("member=\"101\"} 1\n") && text.contains("member=\"102\"} 2 # {} 0.5\n"), "{text}");
}

proptest! {
    /// Whole numbers add up exactly in any order, and how members are grouped doesn't matter either: a text of a merge
    /// can be merged again.
    #[test]
    fn sums_do_not_depend_on_order_or_grouping(
        values in prop::collection::vec((0_u32..4, 0_u32..1_000_000), 1..12), split in 0_usize..12,
    ) {
        let part = |n: usize, of: &[(u32, u32)], aggregate: &mut Aggregate| {
            for (at, (label, value)) in (0..).zip(of) {
                let text = format!("# TYPE c counter\nc{{x=\"{label}\"}} {value}\n");
                aggregate
                    .put_text(process(u32::try_from(n).unwrap() + at), text.as_bytes(), Format::Text, 1, 1)
                    .unwrap();
            }
        };
        let sorted = |aggregate: &mut Aggregate| {
            let mut lines = lines(aggregate, Options::default());
            lines.sort();
            lines
        };
        let (mut forward, mut backward, mut nested) = (Aggregate::new(), Aggregate::new(), Aggregate::new());
        part(0, &values, &mut forward);
        let reversed: Vec<_> = values.iter().rev().copied().collect();
        part(0, &reversed, &mut backward);
        let (one, other) = values.split_at(split.min(values.len()));
        for (at, values) in [(0, one), (1, other)] {
            let mut inner = Aggregate::new();
            part(0, values, &mut inner);
            let text = inner.render(Format::Text, Options::default(), &[]).text;
            nested.put_text(process(at), &text, Format::Text, 1, 1).unwrap();
        }
        let merged = sorted(&mut forward);
        prop_assert_eq!(&sorted(&mut backward), &merged);
        prop_assert_eq!(&sorted(&mut nested), &merged);
    }
}
