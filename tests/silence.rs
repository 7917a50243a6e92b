//! Primaries that stand still: stuck ones are relieved, frozen ones are reported.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use process_agent::agent::Options;
use process_agent::inbox::{Item, Notice};
use process_agent::ipc::frame::{Codec, Kind};
use process_agent::ipc::lane::Sent;
use process_agent::ipc::message::{Message, Speaks};
use process_agent::ipc::parcel::{Body, Parcel};
use process_agent::membership::Command;
use process_agent::role::Epoch;
use process_agent::watch::Limits;

use support::by_hand::{joining, Fake};
use support::{options, pair, Member, BOUND, LIMITS};

const LIMIT: Duration = Duration::from_millis(600);

fn impatient(runtime: &Path) -> Options {
    Options { limits: Limits { max_silence: LIMIT, ..LIMITS }, ..options(runtime) }
}

/// A primary that is stuck as long as nobody takes what comes to it, with its epoch; and another member, with its lane.
fn stuck_and_successor(runtime: &Path) -> (Member, Epoch, Member, u32) {
    let (stuck, epoch, other, lane) = pair(|| impatient(runtime));
    other.agent.tell(Command::Ready);
    (stuck, epoch, other, lane)
}

/// Takes what comes to the members again and again, as event loops that turn do, until `done`.
fn turn(members: &mut [&mut Member], mut done: impl FnMut(&mut [&mut Member]) -> bool) {
    let deadline = Instant::now() + BOUND;
    while !done(members) {
        assert!(Instant::now() < deadline, "{:#?}", members.last().unwrap().told);
        std::thread::sleep(Duration::from_millis(5));
        for member in members.iter_mut() {
            member.take();
        }
    }
}

fn turn_for(time: Duration, members: &mut [&mut Member]) {
    let until = Instant::now() + time;
    turn(members, |_| Instant::now() > until);
}

fn elected_after(member: &Member, after: Epoch) -> Option<Epoch> {
    member.notices().find_map(|notice| match notice {
        Notice::Elected { epoch, .. } if *epoch > after => Some(*epoch),
        _ => None,
    })
}

#[test]
fn a_primary_whose_event_loop_is_stuck_is_relieved_and_what_it_took_is_told_from_what_it_did_not() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut stuck, epoch, mut other, lane) = stuck_and_successor(runtime.path());
    other.send(lane);
    stuck.until("the first frame", |item| matches!(item, Item::Frame(..)).then_some(()));
    // From here on nothing is taken in it.
    other.send(lane);
    let began = Instant::now();
    turn(&mut [&mut other], |members| elected_after(members[0], epoch).is_some());
    assert!(began.elapsed() > LIMIT / 2, "{:?}", began.elapsed());
    let closed = other.until_notice("the end of the lane", |notice| match notice {
        Notice::LaneClosed { written, accepted, relieved, .. } => Some((*written, *accepted, *relieved)),
        _ => None,
    });
    assert_eq!(closed, (2, Some(1), true));
    // When it goes on it is a worker, and has never seen the second frame.
    assert_eq!(stuck.until_following(epoch), elected_after(&other, epoch).unwrap());
    assert_eq!(stuck.told.iter().filter(|(_, item)| matches!(item, Item::Frame(..))).count(), 1);
}

#[test]
fn a_stuck_primary_stays_when_nobody_can_take_over_or_a_debugger_may_hold_it() {
    let runtime = tempfile::tempdir().unwrap();
    let mut stuck = Member::start(impatient(runtime.path()));
    let epoch = stuck.until_elected(Epoch(0));
    // It has not finished its own start-up.
    let mut starting = Member::start(impatient(runtime.path()));
    turn_for(LIMIT * 3, &mut [&mut starting]);
    assert_eq!(elected_after(&starting, epoch), None);
    stuck.take();
    stuck.agent.set_inspected(true);
    starting.agent.tell(Command::Ready);
    turn_for(LIMIT * 3, &mut [&mut starting]);
    assert_eq!(elected_after(&starting, epoch), None);
}

#[test]
fn a_member_whose_event_loop_is_stuck_does_not_stand_for_election() {
    let runtime = tempfile::tempdir().unwrap();
    let mut primary = Member::start(options(runtime.path()));
    let epoch = primary.until_elected(Epoch(0));
    let mut stuck = Member::start(options(runtime.path()));
    stuck.until_following(Epoch(0));
    let mut lively = Member::start(options(runtime.path()));
    lively.until_following(Epoch(0));
    // A second of silence, and the time between two looks.
    turn_for(Duration::from_millis(2300), &mut [&mut primary, &mut lively]);
    primary.agent.end();
    turn(&mut [&mut lively], |members| elected_after(members[0], epoch).is_some());
    assert_eq!(elected_after(&stuck, epoch), None);
}

#[test]
fn a_primary_that_says_nothing_is_reported_as_frozen_and_then_as_going_on() {
    let runtime = tempfile::tempdir().unwrap();
    let fake = Fake::new(impatient(runtime.path()), Epoch(5));
    let mut member = Member::start(Options { candidate: false, ..impatient(runtime.path()) });
    let (mut control, _calls) = fake.welcome();
    member.until_following(Epoch(0));
    let silent = member.until_notice("the silence", |notice| match notice {
        Notice::PrimaryFrozen { silent_ms } => Some(*silent_ms),
        _ => None,
    });
    assert!(Duration::from_millis(silent) >= LIMIT, "{silent}");
    assert!(!member.notices().any(|notice| matches!(notice, Notice::PrimaryThawed)));
    fake.send(&mut control, &Message::Beat { lag_ms: 0, is_stuck: false, dead: Vec::new() });
    member.until_notice("the thaw", |notice| matches!(notice, Notice::PrimaryThawed).then_some(()));
    assert!(!member.notices().any(|notice| matches!(notice, Notice::Leaderless { .. })));
}

#[test]
fn versions_one_apart_make_one_group_and_others_are_refused_both_ways() {
    let speaks = |oldest, protocol| Speaks { oldest, protocol };
    for (primary, member, joins) in [
        (speaks(2, 2), speaks(2, 3), true),
        (speaks(2, 3), speaks(2, 2), true),
        (speaks(2, 2), speaks(3, 4), false),
        (speaks(3, 4), speaks(2, 2), false),
    ] {
        let runtime = tempfile::tempdir().unwrap();
        let mut first = Member::start(Options { speaks: primary, ..options(runtime.path()) });
        let epoch = first.until_elected(Epoch(0));
        let mut second = Member::start(Options { speaks: member, ..options(runtime.path()) });
        let told = second.until_notice("an answer", |notice| match notice {
            Notice::LaneOpen { protocol, epoch, .. } => Some(Ok((*protocol, *epoch))),
            Notice::Failed { code, message } => Some(Err(format!("{code} {message}"))),
            Notice::Elected { .. } => Some(Err("a second group".into())),
            _ => None,
        });
        if joins {
            assert_eq!(told, Ok((2, epoch)));
        } else {
            let refusal = told.unwrap_err();
            assert!(
                refusal.starts_with("ERR_AGENT_REFUSED") && refusal.contains("speaks protocol"),
                "{refusal}"
            );
        }
    }
}

#[test]
fn replies_for_an_end_that_does_not_read_are_bounded() {
    let runtime = tempfile::tempdir().unwrap();
    let mut primary = Member::start(options(runtime.path()));
    primary.until_elected(Epoch(0));
    let mut deaf = Member::start(options(runtime.path()));
    deaf.lane(0);
    let lane = primary.lane(0);
    let payload = vec![b'x'; 512 * 1024];
    // Its Rust side grants 4 MiB, and no more before its JavaScript has taken them; half of 4 MiB is held here beyond that.
    let (mut sent, mut full_since) = (0, Instant::now());
    // It is full for good when its Rust side has had the time to read on, and has not.
    while full_since.elapsed() < Duration::from_millis(500) && sent < 100 {
        if primary.agent.send(lane, Kind::Replies, Codec::Text, &payload, true) == Sent::Full {
            std::thread::sleep(Duration::from_millis(5));
        } else {
            sent += 1;
            full_since = Instant::now();
        }
    }
    assert!((10..16).contains(&sent), "{sent}");
    // One that must be said is not held back.
    assert!(matches!(primary.agent.send(lane, Kind::Replies, Codec::Text, b"[]", false), Sent::Frame(_)));
    // What is read makes room.
    let until = Instant::now() + BOUND;
    while primary.agent.send(lane, Kind::Replies, Codec::Text, &payload, true) == Sent::Full {
        assert!(Instant::now() < until);
        deaf.take();
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_relief_is_heard_at_once_also_by_those_whose_calls_the_stuck_primary_has_not_taken() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut stuck, epoch, mut other, lane) = stuck_and_successor(runtime.path());
    stuck.take();
    // It waits in the inbox of the stuck primary.
    other.send(lane);
    turn(&mut [&mut other], |members| elected_after(members[0], epoch).is_some());
    let when = |is: &dyn Fn(&Notice) -> bool| {
        other.told.iter().find(|(_, item)| matches!(item, Item::Notice(notice) if is(notice))).unwrap().0
    };
    let closed = when(&|notice| matches!(notice, Notice::LaneClosed { .. }));
    let elected = when(&|notice| matches!(notice, Notice::Elected { .. }));
    let began = when(&|notice| matches!(notice, Notice::LaneOpen { .. }));
    // The limit, two looks, and the words themselves; no wait for a connection that does not end.
    assert!(closed - began < LIMIT * 2, "{:?}", closed - began);
    assert!(elected - closed < LIMIT / 2, "{:?}", elected - closed);
    // It is stuck still: it does not stand again.
    stuck.take();
    let elections = stuck.notices().filter(|notice| matches!(notice, Notice::Elected { .. }));
    assert_eq!(elections.count(), 1);
}

#[test]
fn the_last_word_of_a_primary_is_heard_by_a_member_that_is_in_the_middle_of_saying_something() {
    let runtime = tempfile::tempdir().unwrap();
    let mut fake = Fake::new(options(runtime.path()), Epoch(0));
    let mut member = Member::start(Options { candidate: false, ..options(runtime.path()) });
    for round in 1..=12 {
        fake.epoch = Epoch(round);
        let (mut control, calls) = fake.welcome();
        member.until_following(Epoch(round - 1));
        // More than the socket takes.
        let body = Body { codec: Codec::Bytes, bytes: vec![0; 900_000].into() };
        let parcel = Parcel::Publish { request: 1, topic: "t".into() };
        member.agent.tell(Command::Parcel(fake.epoch, Box::new((parcel, body))));
        let mut byte = [0];
        control.read_exact(&mut byte).unwrap();
        std::thread::sleep(Duration::from_millis(10));
        fake.send(&mut control, &Message::Bye { taken: round, died: false });
        drop((control, calls));
        member.until_notice("the last word", |notice| match notice {
            Notice::Leaderless { taken: Some(taken), .. } if *taken == round => Some(()),
            _ => None,
        });
    }
}

#[test]
fn a_stuck_primary_is_not_relieved_for_a_member_that_is_frozen() {
    let runtime = tempfile::tempdir().unwrap();
    let mut stuck = Member::start(impatient(runtime.path()));
    stuck.until_elected(Epoch(0));
    let mut control = joining(&stuck.agent.folder().join("socket"), 0);
    // It says that it does well, and nothing after that.
    control
        .write_all(&Message::Beat { lag_ms: 0, is_stuck: false, dead: Vec::new() }.to_bytes(Epoch(0)))
        .unwrap();
    std::thread::sleep(LIMIT * 3);
    stuck.take();
    assert!(!stuck.notices().any(|notice| matches!(notice, Notice::Leaderless { .. })), "{:#?}", stuck.told);
}

#[test]
fn a_member_that_the_next_primary_refuses_asks_now_and_then() {
    let runtime = tempfile::tempdir().unwrap();
    let speaking =
        |oldest, protocol| Options { speaks: Speaks { oldest, protocol }, ..options(runtime.path()) };
    let mut first = Member::start(speaking(2, 3));
    let epoch = first.until_elected(Epoch(0));
    let mut old = Member::start(Options { candidate: false, ..speaking(2, 2) });
    old.until_following(Epoch(0));
    let mut new = Member::start(speaking(3, 4));
    new.until_following(Epoch(0));
    first.agent.end();
    new.until_elected(epoch);
    old.until_notice("the refusal", |notice| {
        matches!(notice, Notice::Failed { code: "ERR_AGENT_REFUSED", .. }).then_some(())
    });
    std::thread::sleep(Duration::from_millis(500));
    new.take();
    let refusals = new.notices().filter(
        |notice| matches!(notice, Notice::Log { level: "warn", message } if message.contains("was refused")),
    );
    assert!(refusals.count() <= 2);
}
