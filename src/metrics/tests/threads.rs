//! What all threads of a process say alike counts once.

use crate::metrics::aggregate::Aggregate;
use crate::metrics::member::Incarnation;
use crate::metrics::render::{Options, Quantiles};
use crate::metrics::tests::{lines, process, put};

const APART: Options = Options { members_apart: true, slots: false, quantiles: Quantiles::Drop };

/// CPU, resident memory, and a gauge that is the thread's own.
const DEFAULTS: &str = r#"{"name":"process_cpu_seconds_total","type":"counter","series":[["",{}]]},
    {"name":"process_resident_memory_bytes","type":"gauge","series":[["",{}]]},
    {"name":"nodejs_heap_size_used_bytes","type":"gauge","series":[["",{}]]}"#;

fn thread(n: u32) -> Incarnation {
    Incarnation { thread: n, ..process(1) }
}

fn merged(aggregate: &mut Aggregate) -> Vec<String> {
    lines(aggregate, Options::default())
}

#[test]
fn three_threads_have_the_memory_and_the_processor_time_of_one_process() {
    let mut aggregate = Aggregate::new();
    for n in 1..=3 {
        put(&mut aggregate, thread(n), DEFAULTS, 1, &[10.0, 500.0, 7.0]);
    }
    put(&mut aggregate, process(2), DEFAULTS, 1, &[1.0, 100.0, 7.0]);
    let heap = "nodejs_heap_size_used_bytes 28";
    assert_eq!(
        merged(&mut aggregate),
        ["process_cpu_seconds_total 11", "process_resident_memory_bytes 600", heap]
    );
    for (n, at) in [(1, 4), (2, 6), (3, 5)] {
        put(&mut aggregate, thread(n), DEFAULTS, at, &[10.0 + f64::from(n), 500.0 + f64::from(n), 7.0]);
    }
    assert_eq!(
        merged(&mut aggregate),
        ["process_cpu_seconds_total 12", "process_resident_memory_bytes 602", heap]
    );
}

#[test]
fn when_a_thread_is_gone_the_next_one_goes_on_from_where_it_was() {
    let mut aggregate = Aggregate::new();
    put(&mut aggregate, thread(1), DEFAULTS, 1, &[10.0, 500.0, 7.0]);
    put(&mut aggregate, thread(2), DEFAULTS, 1, &[9.0, 500.0, 7.0]);
    put(&mut aggregate, thread(1), DEFAULTS, 2, &[13.0, 500.0, 7.0]);
    put(&mut aggregate, thread(2), DEFAULTS, 2, &[12.0, 500.0, 7.0]);
    assert_eq!(merged(&mut aggregate)[0], "process_cpu_seconds_total 13");
    aggregate.forget(thread(1));
    assert_eq!(merged(&mut aggregate)[0], "process_cpu_seconds_total 13");
    put(&mut aggregate, thread(2), DEFAULTS, 3, &[14.0, 500.0, 7.0]);
    assert_eq!(merged(&mut aggregate)[0], "process_cpu_seconds_total 15");
    put(&mut aggregate, thread(3), DEFAULTS, 4, &[2.0, 500.0, 7.0]);
    put(&mut aggregate, thread(3), DEFAULTS, 5, &[4.0, 500.0, 7.0]);
    assert_eq!(merged(&mut aggregate)[0], "process_cpu_seconds_total 15");
}

#[test]
fn a_thread_that_comes_first_but_joins_later_counts_nothing_twice() {
    let mut aggregate = Aggregate::new();
    put(&mut aggregate, thread(2), DEFAULTS, 1, &[10.0, 500.0, 7.0]);
    put(&mut aggregate, thread(0), DEFAULTS, 2, &[30.0, 500.0, 7.0]);
    assert_eq!(merged(&mut aggregate)[0], "process_cpu_seconds_total 10");
    put(&mut aggregate, thread(2), DEFAULTS, 3, &[11.0, 500.0, 7.0]);
    put(&mut aggregate, thread(0), DEFAULTS, 3, &[31.0, 500.0, 7.0]);
    assert_eq!(merged(&mut aggregate)[0], "process_cpu_seconds_total 11");
}

#[test]
fn the_thread_that_has_a_metric_speaks_for_it_whoever_else_is_there() {
    let mut aggregate = Aggregate::new();
    put(&mut aggregate, thread(0), r#"{"name":"own","type":"gauge","series":[["",{}]]}"#, 1, &[1.0]);
    put(&mut aggregate, thread(1), DEFAULTS, 1, &[10.0, 500.0, 7.0]);
    put(&mut aggregate, thread(1), DEFAULTS, 2, &[11.0, 500.0, 7.0]);
    assert_eq!(merged(&mut aggregate)[1], "process_cpu_seconds_total 11");
}

#[test]
fn with_members_apart_one_of_them_has_it() {
    let mut aggregate = Aggregate::new();
    for n in 1..=2 {
        put(&mut aggregate, thread(n), DEFAULTS, 1, &[10.0, 500.0, 7.0]);
    }
    let apart = lines(&mut aggregate, APART);
    let of = |name: &str| apart.iter().filter(|line| line.starts_with(name)).count();
    assert_eq!((of("process_cpu"), of("process_resident"), of("nodejs_heap")), (1, 1, 2), "{apart:?}");
    put(&mut aggregate, thread(1), DEFAULTS, 2, &[11.0, 500.0, 7.0]);
    aggregate.forget(thread(1));
    put(&mut aggregate, thread(2), DEFAULTS, 2, &[13.0, 500.0, 7.0]);
    let cpu: Vec<_> =
        lines(&mut aggregate, APART).into_iter().filter(|line| line.starts_with("process_cpu")).collect();
    assert_eq!(
        cpu,
        ["process_cpu_seconds_total{member=\"101-2-0\"} 3", "process_cpu_seconds_total{member=\"gone\"} 11"]
    );
}

#[test]
fn the_next_primary_goes_on_with_it() {
    let mut aggregate = Aggregate::new();
    for n in 1..=3 {
        put(&mut aggregate, thread(n), DEFAULTS, 1, &[10.0, 500.0, 7.0]);
    }
    let mut next = Aggregate::from_bytes(&aggregate.to_bytes(), 1).unwrap();
    for n in [3, 2, 1] {
        put(&mut next, thread(n), DEFAULTS, 2, &[12.0, 500.0, 7.0]);
    }
    assert_eq!(merged(&mut next)[..2], ["process_cpu_seconds_total 12", "process_resident_memory_bytes 500"]);

    let mut early = Aggregate::new();
    for n in [3, 2, 1] {
        put(&mut early, thread(n), DEFAULTS, 2, &[12.0, 500.0, 7.0]);
    }
    early.adopt(&aggregate.to_bytes(), 3).unwrap();
    // Another thread was the first to join here: what the process has used since the last tenure is not counted twice.
    assert_eq!(merged(&mut early)[0], "process_cpu_seconds_total 10");
    for n in [1, 2, 3] {
        put(&mut early, thread(n), DEFAULTS, 4, &[15.0, 500.0, 7.0]);
    }
    assert_eq!(merged(&mut early)[0], "process_cpu_seconds_total 13");
}

#[test]
fn a_prefix_does_not_hide_what_it_is_and_a_name_that_only_looks_alike_is_the_threads_own() {
    let family = |name: &str, help: &str| {
        format!(r#"{{"name":"{name}","help":"{help}","type":"gauge","series":[["",{{}}]]}}"#)
    };
    let families = [
        family("shop_process_open_fds", "Number of open file descriptors."),
        family("shop_process_max_fds", "Of the shop."),
    ]
    .join(",");
    let mut aggregate = Aggregate::new();
    for n in 1..=2 {
        put(&mut aggregate, thread(n), &families, 1, &[20.0, 20.0]);
    }
    assert_eq!(merged(&mut aggregate), ["shop_process_open_fds 20", "shop_process_max_fds 40"]);
}
