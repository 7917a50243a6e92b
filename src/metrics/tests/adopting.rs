//! What the next primary makes of the state of the last.

use crate::metrics::aggregate::Aggregate;
use crate::metrics::error::MetricsError;
use crate::metrics::render::Options;
use crate::metrics::tests::{lines, process, put};

const BOTH: &str = r#"{"name":"c_total","type":"counter","series":[["",{}]]},
    {"name":"g","type":"gauge","series":[["",{}]]}"#;

/// A counter of 1 + 10 + 100, of three processes, the first of which is gone.
fn state() -> Vec<u8> {
    let mut aggregate = Aggregate::new();
    for (n, count) in [(1, 1.0), (2, 10.0), (3, 100.0)] {
        put(&mut aggregate, process(n), BOTH, 1, &[count, 1.0]);
    }
    aggregate.forget(process(1));
    assert_eq!(lines(&mut aggregate, Options::default()), ["c_total 111", "g 2"]);
    aggregate.to_bytes()
}

#[test]
fn all_count_from_the_beginning_and_who_joins_again_is_not_counted_twice() {
    let mut next = Aggregate::from_bytes(&state(), 1000).unwrap();
    assert_eq!(lines(&mut next, Options::default()), ["c_total 111", "g 2"]);
    put(&mut next, process(3), BOTH, 2, &[105.0, 1.0]);
    assert_eq!(lines(&mut next, Options::default()), ["c_total 116", "g 2"]);
    assert_eq!(next.settle(1999, 1000), []);
    assert_eq!(next.settle(2000, 1000), [process(2)]);
    assert_eq!(next.settle(9000, 1000), []);
    assert_eq!(lines(&mut next, Options::default()), ["c_total 116", "g 1"]);
}

#[test]
fn who_was_forgotten_and_comes_back_is_not_counted_twice() {
    let mut next = Aggregate::from_bytes(&state(), 0).unwrap();
    next.settle(10, 10);
    put(&mut next, process(2), BOTH, 5, &[12.0, 1.0]);
    put(&mut next, process(1), BOTH, 5, &[1.0, 1.0]);
    assert_eq!(lines(&mut next, Options::default()), ["c_total 113", "g 2"]);
    next.forget(process(2));
    put(&mut next, process(2), BOTH, 6, &[12.0, 1.0]);
    assert_eq!(lines(&mut next, Options::default()), ["c_total 113", "g 2"]);
}

#[test]
fn a_process_that_only_joins_is_alive() {
    let mut next = Aggregate::from_bytes(&state(), 0).unwrap();
    next.join(process(2), "two").unwrap();
    assert_eq!(next.settle(10, 10), [process(3)]);
    let known: Vec<_> = next.members().map(|known| (known.name, known.adopted, known.snapshot_ms)).collect();
    assert_eq!(known, [("two".to_owned(), false, Some(1))]);
}

#[test]
fn who_has_joined_before_the_adoption_replaces_its_own_too() {
    let mut next = Aggregate::new();
    put(&mut next, process(2), BOTH, 5, &[12.0, 1.0]);
    put(&mut next, process(4), BOTH, 5, &[1000.0, 1.0]);
    next.adopt(&state(), 0).unwrap();
    assert_eq!(lines(&mut next, Options::default()), ["c_total 1113", "g 3"]);
    assert_eq!(next.settle(10, 10), [process(3)]);
    assert_eq!(lines(&mut next, Options::default()), ["c_total 1113", "g 2"]);
    assert_eq!(next.adopt(&state(), 0).unwrap_err(), MetricsError::TooLate);
}

#[test]
fn a_reset_before_the_adoption_is_not_forgotten() {
    let mut next = Aggregate::new();
    put(&mut next, process(2), BOTH, 5, &[12.0, 1.0]);
    put(&mut next, process(2), BOTH, 6, &[3.0, 1.0]);
    assert_eq!(lines(&mut next, Options::default()), ["c_total 15", "g 1"]);
    next.adopt(&state(), 0).unwrap();
    assert_eq!(lines(&mut next, Options::default()), ["c_total 116", "g 2"]);
    put(&mut next, process(2), BOTH, 7, &[4.0, 1.0]);
    assert_eq!(lines(&mut next, Options::default()), ["c_total 117", "g 2"]);
}

#[test]
fn a_state_reads_back_as_itself_and_goes_on_through_a_longer_file() {
    let mut bytes = state();
    assert_eq!(Aggregate::from_bytes(&bytes, 0).unwrap().to_bytes(), bytes);
    let length = bytes.len();
    bytes.extend_from_slice(&[0xAB; 100]);
    assert_eq!(Aggregate::from_bytes(&bytes, 0).unwrap().to_bytes(), bytes[..length]);
}

#[test]
fn a_refusal_says_what_is_wrong() {
    let bytes = state();
    for (at, part) in [(0, "PAMA"), (4, "version"), (15, "shorter"), (20, "damaged"), (200, "damaged")] {
        let mut bad = bytes.clone();
        bad[at] ^= 0x40;
        let text = Aggregate::from_bytes(&bad, 0).unwrap_err().to_string();
        assert!(text.contains(part), "{text}");
    }
    assert!(Aggregate::from_bytes(&bytes[..20], 0).unwrap_err().to_string().contains("header"));
}

/// By age.
fn slots(aggregate: &Aggregate) -> Vec<u32> {
    aggregate.members().map(|known| known.slot).collect()
}

#[test]
fn a_slot_is_the_smallest_that_is_free_and_stays_with_its_member() {
    let mut aggregate = Aggregate::new();
    for n in 1..=3 {
        put(&mut aggregate, process(n), BOTH, 1, &[1.0, 1.0]);
    }
    assert_eq!(slots(&aggregate), [0, 1, 2]);
    aggregate.forget(process(1));
    aggregate.forget(process(2));
    put(&mut aggregate, process(4), BOTH, 1, &[1.0, 1.0]);
    assert_eq!(slots(&aggregate), [2, 0]);
    let options = Options { members_apart: true, slots: true, ..Options::default() };
    assert_eq!(
        lines(&mut aggregate, options),
        [
            "c_total{member=\"2\"} 1",
            "c_total{member=\"0\"} 1",
            "c_total{member=\"gone\"} 2",
            "g{member=\"2\"} 1",
            "g{member=\"0\"} 1"
        ]
    );
}

#[test]
fn slots_are_the_same_in_the_next_tenure_and_what_an_earlier_version_has_kept_has_some_too() {
    let mut aggregate = Aggregate::new();
    for n in 1..=4 {
        put(&mut aggregate, process(n), BOTH, 1, &[1.0, 1.0]);
    }
    aggregate.forget(process(2));
    let mut state = aggregate.to_bytes();
    let mut next = Aggregate::from_bytes(&state, 1).unwrap();
    assert_eq!(slots(&next), [0, 2, 3]);
    put(&mut next, process(5), BOTH, 1, &[1.0, 1.0]);
    assert_eq!(slots(&next), [0, 2, 3, 1]);

    let mut early = Aggregate::new();
    put(&mut early, process(4), BOTH, 2, &[1.0, 1.0]);
    early.adopt(&state, 1).unwrap();
    assert_eq!(slots(&early), [0, 2, 3]);

    // As a file of which the end is another state's.
    *state.last_mut().unwrap() ^= 1;
    assert_eq!(slots(&Aggregate::from_bytes(&state, 1).unwrap()), [0, 1, 2]);
    state.truncate(state.len() - 4 - 8 - 3 * 4);
    assert_eq!(slots(&Aggregate::from_bytes(&state, 1).unwrap()), [0, 1, 2]);
}
