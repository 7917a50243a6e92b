//! What a broker says of its members, and what the next one knows of the tenure before.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, Instant};

use process_agent::agent::Options;
use process_agent::inbox::Notice;
use process_agent::ipc::health::Condition::{self, Dead, Leaving, Ok as Fine, Starting, Stuck};
use process_agent::membership::Command;
use process_agent::role::Epoch;
use process_agent::watch::Limits;

use support::{options, Member, BOUND, LIMITS};

const MAX_LAG: Duration = Duration::from_millis(400);

/// All members are of one process here: only their threads tell them apart.
fn member(runtime: &std::path::Path, thread_id: u32) -> Member {
    let limits = Limits { max_lag: MAX_LAG, ..LIMITS };
    let member = Member::start(Options { thread_id, limits, ..options(runtime) });
    member.agent.tell(Command::Ready);
    member
}

/// The first is primary.
fn group(runtime: &std::path::Path, size: u32) -> Vec<Member> {
    let mut members = Vec::new();
    for thread_id in 1..=size {
        members.push(member(runtime, thread_id));
        members.last_mut().unwrap().until_role(Epoch(0));
    }
    members
}

/// What member `asked` hears of everybody, by their threads, while those of `turning` turn; nothing when there is no
/// primary that answers.
fn health(members: &mut [Member], asked: usize, request: u32, turning: &[usize]) -> Vec<(u32, Condition)> {
    members[asked].agent.tell(Command::AskHealth(request));
    let asked_at = Instant::now();
    while asked_at.elapsed() < Duration::from_millis(500) {
        std::thread::sleep(Duration::from_millis(2));
        for each in turning {
            members[*each].take();
        }
        let answer = members[asked].notices().find_map(|notice| match notice {
            Notice::Health { request: answered, members } if *answered == request => Some(members),
            _ => None,
        });
        if let Some(standings) = answer {
            let mut found: Vec<_> =
                standings.iter().map(|each| (each.member.thread_id, each.state)).collect();
            found.sort_unstable_by_key(|(thread_id, _)| *thread_id);
            return found;
        }
    }
    Vec::new()
}

/// Asks again and again until everybody does as `expected`; how long it took.
fn until(members: &mut [Member], asked: usize, turning: &[usize], expected: &[(u32, Condition)]) -> Duration {
    let began = Instant::now();
    for request in 1_000_000.. {
        let request = request + u32::try_from(members[asked].told.len()).unwrap();
        // A primary is starting until it says that it has taken over.
        for each in turning {
            members[*each].agent.tell(Command::Ready);
        }
        let found = health(members, asked, request, turning);
        if found == expected {
            break;
        }
        assert!(began.elapsed() < BOUND, "{found:?}");
    }
    began.elapsed()
}

#[test]
fn a_stuck_member_and_a_stuck_primary_are_told_of_soon_after_the_limit_and_when_they_go_on() {
    let runtime = tempfile::tempdir().unwrap();
    let mut members = group(runtime.path(), 3);
    until(&mut members, 1, &[0, 1, 2], &[(1, Fine), (2, Fine), (3, Fine)]);
    for (stuck, turning, expected) in
        [(2, [0, 1], [(1, Fine), (2, Fine), (3, Stuck)]), (0, [1, 2], [(1, Stuck), (2, Fine), (3, Fine)])]
    {
        members[stuck].take();
        let took = until(&mut members, 1, &turning, &expected);
        assert!(took + Duration::from_millis(60) > MAX_LAG, "{took:?}");
        assert!(took < MAX_LAG + Duration::from_millis(200), "{took:?}");
        until(&mut members, 1, &[0, 1, 2], &[(1, Fine), (2, Fine), (3, Fine)]);
    }
}

#[test]
fn who_leaves_says_so_and_who_is_gone_without_a_word_is_dead_until_somebody_joins() {
    let runtime = tempfile::tempdir().unwrap();
    let mut members = group(runtime.path(), 4);
    let all = [(1, Fine), (2, Fine), (3, Fine), (4, Fine)];
    until(&mut members, 1, &[0, 1, 2, 3], &all);
    members[3].agent.end();
    until(&mut members, 1, &[0, 1, 2], &all[..3]);
    members[2].agent.abandon();
    until(&mut members, 1, &[0, 1], &[(1, Fine), (2, Fine), (3, Dead)]);
    members.push(member(runtime.path(), 5));
    until(&mut members, 1, &[0, 1, 4], &[(1, Fine), (2, Fine), (5, Fine)]);
}

#[test]
fn who_has_joined_again_before_its_old_connection_has_ended_is_not_dead() {
    let runtime = tempfile::tempdir().unwrap();
    let mut members = group(runtime.path(), 3);
    // The same process, as far as anybody can tell.
    members.push(member(runtime.path(), 3));
    members[3].until_role(Epoch(0));
    until(&mut members, 1, &[0, 1, 2, 3], &[(1, Fine), (2, Fine), (3, Fine), (3, Fine)]);
    members[2].agent.abandon();
    until(&mut members, 1, &[0, 1, 3], &[(1, Fine), (2, Fine), (3, Fine)]);
    // A death would be told by now, as this one is.
    members[1].agent.abandon();
    until(&mut members, 0, &[0, 3], &[(1, Fine), (2, Dead), (3, Fine)]);
}

#[test]
fn the_dead_are_known_to_the_next_primary_too_and_the_one_that_died_is_one_of_them() {
    let runtime = tempfile::tempdir().unwrap();
    let mut members = group(runtime.path(), 4);
    members[3].agent.abandon();
    until(&mut members, 1, &[0, 1, 2], &[(1, Fine), (2, Fine), (3, Fine), (4, Dead)]);
    members[0].agent.abandon();
    until(&mut members, 1, &[1, 2], &[(1, Dead), (2, Fine), (3, Fine), (4, Dead)]);
    members.push(member(runtime.path(), 5));
    members.push(member(runtime.path(), 6));
    until(&mut members, 1, &[1, 2, 4, 5], &[(2, Fine), (3, Fine), (5, Fine), (6, Fine)]);
}

#[test]
fn two_that_die_at_once_are_both_known_when_one_of_them_was_the_primary() {
    let runtime = tempfile::tempdir().unwrap();
    let mut members = group(runtime.path(), 4);
    until(&mut members, 2, &[0, 1, 2, 3], &[(1, Fine), (2, Fine), (3, Fine), (4, Fine)]);
    members[0].agent.tell(Command::Abandon);
    members[1].agent.tell(Command::Abandon);
    until(&mut members, 2, &[2, 3], &[(1, Dead), (2, Dead), (3, Fine), (4, Fine)]);
}

#[test]
fn a_primary_that_leaves_in_order_is_no_death_and_the_dead_are_forgotten_after_a_while() {
    let runtime = tempfile::tempdir().unwrap();
    let forget_dead = Duration::from_millis(700);
    let start = |thread_id| {
        let mut started = Member::start(Options { thread_id, forget_dead, ..options(runtime.path()) });
        started.agent.tell(Command::Ready);
        started.until_role(Epoch(0));
        started
    };
    let mut members: Vec<_> = (1..=4).map(start).collect();
    members[0].agent.end();
    until(&mut members, 1, &[1, 2, 3], &[(2, Fine), (3, Fine), (4, Fine)]);
    members[3].agent.abandon();
    let died = Instant::now();
    until(&mut members, 1, &[1, 2], &[(2, Fine), (3, Fine), (4, Dead)]);
    until(&mut members, 1, &[1, 2], &[(2, Fine), (3, Fine)]);
    assert!(died.elapsed() + Duration::from_millis(50) >= forget_dead, "{:?}", died.elapsed());
}

#[test]
fn who_is_starting_or_leaving_is_not_stuck() {
    let runtime = tempfile::tempdir().unwrap();
    let mut members = group(runtime.path(), 2);
    let limits = Limits { max_lag: MAX_LAG, ..LIMITS };
    let mut starting = Member::start(Options { thread_id: 3, limits, ..options(runtime.path()) });
    starting.until_role(Epoch(0));
    members.push(starting);
    members[1].agent.tell(Command::HandOver { state: None, grace: Duration::ZERO });
    let expected = [(1, Fine), (2, Leaving), (3, Starting)];
    until(&mut members, 0, &[0], &expected);
    let silent = Instant::now();
    while silent.elapsed() < MAX_LAG * 2 {
        let took = until(&mut members, 0, &[0], &expected);
        assert!(took < Duration::from_millis(100), "{took:?}");
    }
}
