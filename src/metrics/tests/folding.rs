//! The dead make room for the living, and nothing that was counted is lost.

use crate::metrics::aggregate::Aggregate;
use crate::metrics::error::MetricsError;
use crate::metrics::fold::{Folded, FOLDED};
use crate::metrics::render::Options;
use crate::metrics::schema::Schema;
use crate::metrics::tests::{families, lines, process, put};

const LIMIT: usize = 400;

/// What a process counts, with its pid in a label: two routes, and a histogram.
fn with_pid(pid: u32) -> String {
    format!(
        r#"{{"name":"served_total","help":"H","type":"counter","series":[["",{{"pid":{pid},"route":"a"}}],["",{{"pid":{pid},"route":"b"}}]]}},
        {{"name":"t","type":"histogram","series":[["_bucket",{{"pid":{pid},"le":{le}}}],["_bucket",{{"pid":{pid},"le":"+Inf"}}],
            ["_sum",{{"pid":{pid}}}],["_count",{{"pid":{pid}}}]]}},
        {{"name":"last","type":"gauge","aggregator":"mostrecent","series":[["",{{"pid":{pid}}}]]}}"#,
        le = if pid.is_multiple_of(2) { 1 } else { 2 },
    )
}

const VALUES: [f64; 7] = [1.0, 10.0, 3.0, 5.0, 0.5, 5.0, 7.0];

/// The sum of a series' values, over all labels but one.
fn sum(lines: &[String], begin: &str, label: &str) -> f64 {
    let of = lines.iter().filter(|line| line.starts_with(begin) && line.contains(label));
    of.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

#[test]
fn a_label_that_is_new_in_each_process_keeps_no_living_one_out_and_sums_stay() {
    let mut aggregate = Aggregate::with_limit(LIMIT);
    let (mut folded, mut before) = (0, 0.0);
    for n in 1..=1000_u32 {
        put(&mut aggregate, process(n), &with_pid(n), 1, &VALUES);
        let text = lines(&mut aggregate, Options::default());
        let count = f64::from(n);
        for (begin, label, each) in [
            ("served_total", "route=\"a\"", 1.0),
            ("served_total", "route=\"b\"", 10.0),
            ("t_bucket", "le=\"+Inf\"", 5.0),
            ("t_sum", "", 0.5),
            ("t_count", "", 5.0),
        ] {
            assert_eq!(sum(&text, begin, label), each * count, "{begin} {label} of {n}");
        }
        assert!(text.iter().any(|line| *line == format!("served_total{{pid=\"{n}\",route=\"b\"}} 10")));
        let counted = sum(&text, FOLDED, "");
        assert!(counted >= before, "{counted}, not {before}");
        before = counted;
        if let Some(Folded { series, most }) = aggregate.take_folded() {
            folded += series;
            assert_eq!(most.unwrap().1, "pid");
        }
        aggregate.forget(process(n));
    }
    assert!(folded > 3000, "{folded}");
    assert_eq!(before, f64::from(u32::try_from(folded).unwrap()));
    assert!(aggregate.catalog.size() <= LIMIT);
    let text = lines(&mut aggregate, Options::default());
    assert!(text.iter().any(|line| line.starts_with("served_total{pid=\"gone\",route=\"a\"} ")), "{text:?}");
}

#[test]
fn buckets_of_those_that_were_folded_go_on_being_cumulative() {
    let mut aggregate = Aggregate::with_limit(LIMIT);
    for n in 1..=200_u32 {
        put(&mut aggregate, process(n), &with_pid(n), 1, &VALUES);
        aggregate.forget(process(n));
    }
    assert!(aggregate.take_folded().is_some());
    let text = lines(&mut aggregate, Options::default());
    let bucket = |le: &str| {
        let begin = format!("t_bucket{{pid=\"gone\",le=\"{le}\"}} ");
        let found = text.iter().find_map(|line| line.strip_prefix(&begin));
        found.unwrap_or_else(|| panic!("{begin}: {text:?}")).parse::<f64>().unwrap()
    };
    assert!(bucket("1") < bucket("2") && bucket("2") < bucket("+Inf"), "{text:?}");
    assert_eq!(
        families(&mut aggregate, Options::default()).iter().filter(|family| family.name == "t").count(),
        1
    );
}

#[test]
fn the_next_primary_knows_what_was_folded() {
    let mut aggregate = Aggregate::with_limit(LIMIT);
    for n in 1..=200_u32 {
        put(&mut aggregate, process(n), &with_pid(n), 1, &VALUES);
        aggregate.forget(process(n));
    }
    let shown = lines(&mut aggregate, Options::default());
    let mut next = Aggregate::from_bytes(&aggregate.to_bytes(), 1).unwrap();
    assert_eq!(lines(&mut next, Options::default()), shown);
    assert!(sum(&shown, FOLDED, "") > 0.0);
}

#[test]
fn families_that_nobody_has_any_more_go_when_nothing_else_helps() {
    let mut aggregate = Aggregate::with_limit(LIMIT);
    for n in 1..=1000_u32 {
        let families = format!(r#"{{"name":"of_{n}_total","type":"counter","series":[["",{{}}]]}}"#);
        put(&mut aggregate, process(n), &families, 1, &[1.0]);
        aggregate.forget(process(n));
    }
    assert!(aggregate.catalog.size() <= LIMIT);
    assert!(sum(&lines(&mut aggregate, Options::default()), FOLDED, "") > 500.0);
}

#[test]
fn the_living_alone_may_be_too_many_and_are_not_looked_through_each_time() {
    let mut aggregate = Aggregate::with_limit(LIMIT);
    let schema = |n: u32| Schema::from_json(&format!("{{\"families\":[{}]}}", with_pid(n))).unwrap();
    let mut n = 0;
    let refusal = loop {
        n += 1;
        match aggregate.put_schema(process(n), schema(n)) {
            Ok(_) => put(&mut aggregate, process(n), &with_pid(n), 1, &VALUES),
            Err(error) => break error,
        }
    };
    assert_eq!(refusal, MetricsError::TooMany { what: "families and series", limit: LIMIT });
    assert!(n > 40, "{n}");
    aggregate.forget(process(1));
    assert!(aggregate.put_schema(process(n), schema(n)).is_ok());
}
