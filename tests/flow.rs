//! Flow control between processes, with peers made by hand: what is announced and granted, what passes what is large, and who
//! is taken for dead.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use process_agent::agent::Options;
use process_agent::inbox::{Item, Notice};
use process_agent::ipc::frame::{encode, encode_parcel, Codec, Kind, HEADER_LEN, SMALL};
use process_agent::ipc::message::{MemberInfo, Message, PROTOCOL};
use process_agent::ipc::parcel::{Body, Parcel};
use process_agent::membership::Command;
use process_agent::role::Epoch;
use process_agent::watch::Limits;

use support::by_hand::{Fake, Hand, Wire};
use support::{options, Member, BOUND};

/// For how long silence is borne.
const LIMIT: Duration = Duration::from_millis(600);
/// Ten times what the budget holds.
const COUNT: u32 = 40;
/// A large payload; four of them are the budget.
const LARGE: usize = 1024 * 1024;

fn impatient(runtime: &Path) -> Options {
    Options { limits: Limits { max_silence: LIMIT, max_lag: LIMIT }, ..options(runtime) }
}

fn primary(options: Options) -> (Member, Epoch, PathBuf) {
    let mut primary = Member::start(options);
    let epoch = primary.until_elected(Epoch(0));
    let socket = primary.agent.folder().join("socket");
    (primary, epoch, socket)
}

/// A large frame of a publication.
fn publication(epoch: Epoch, request: u32) -> Vec<u8> {
    let head = serde_json::to_vec(&Parcel::Publish { request, topic: "t".into() }).unwrap();
    let mut frame = Vec::new();
    encode_parcel(&mut frame, Codec::Bytes, epoch, &head, &vec![7; LARGE]);
    frame
}

fn chunks(epoch: Epoch, frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in frame.chunks(SMALL) {
        encode(&mut out, Kind::Chunk, Codec::Bytes, epoch, chunk);
    }
    out
}

fn announce(frame: &[u8], lane: bool) -> Message {
    Message::Announce { bytes: u32::try_from(frame.len() - HEADER_LEN).unwrap(), lane }
}

/// Writes some bytes now and then, for longer than any silence that is borne. Returns what is left.
fn dribble<'a>(stream: &mut UnixStream, bytes: &'a [u8], mut meanwhile: impl FnMut()) -> &'a [u8] {
    let until = Instant::now() + LIMIT * 3;
    let mut rest = bytes;
    while Instant::now() < until {
        stream.write_all(&rest[..100]).unwrap();
        rest = &rest[100..];
        std::thread::sleep(Duration::from_millis(20));
        meanwhile();
    }
    rest
}

fn blames(member: &Member) -> Vec<String> {
    let logs = member.notices().filter_map(|notice| match notice {
        Notice::Log { level: "warn", message } => Some(message.clone()),
        _ => None,
    });
    logs.collect()
}

#[test]
fn a_member_whose_bytes_arrive_is_no_frozen_one_on_whichever_connection_and_in_either_protocol() {
    for (protocol, of_calls) in [(PROTOCOL, false), (PROTOCOL, true), (3, false), (3, true)] {
        let runtime = tempfile::tempdir().unwrap();
        let (mut primary, epoch, socket) = primary(impatient(runtime.path()));
        let mut hand = Hand::join(&socket, 7, protocol);
        hand.control
            .say(&Message::State { id: hand.id, state: process_agent::ipc::message::MemberState::Ready });
        let frame = if of_calls {
            let mut frame = Vec::new();
            encode(&mut frame, Kind::Calls, Codec::Bytes, epoch, &vec![7; LARGE]);
            frame
        } else {
            publication(epoch, 1)
        };
        if protocol >= PROTOCOL {
            hand.control.say(&announce(&frame, of_calls));
            hand.control.until_granted(of_calls);
        }
        let bytes = if protocol < PROTOCOL || of_calls { frame } else { chunks(epoch, &frame) };
        let wire = if of_calls { &mut hand.calls } else { &mut hand.control };
        let rest = dribble(&mut wire.stream, &bytes, || primary.take());
        assert_eq!(blames(&primary), Vec::<String>::new(), "{protocol} {of_calls}");
        wire.stream.write_all(rest).unwrap();
        primary.until("the frame", |item| match item {
            Item::Frame(_, frame) if of_calls => Some(frame.payload.len()),
            Item::Letter(letter) if !of_calls => Some(letter.body.bytes.len()),
            _ => None,
        });
        // A whole silence is what it was; and it has not read what it has published, too.
        primary.until("the silence", |item| match item {
            Item::Notice(Notice::Log { message, .. }) => {
                (message.contains("is frozen") || message.contains("has read nothing")).then_some(())
            }
            _ => None,
        });
    }
}

#[test]
fn a_primary_whose_bytes_arrive_is_no_frozen_one() {
    for of_calls in [false, true] {
        let runtime = tempfile::tempdir().unwrap();
        let epoch = Epoch(5);
        let fake = Fake::new(impatient(runtime.path()), epoch);
        let mut member = Member::start(Options { candidate: false, ..impatient(runtime.path()) });
        let (control, mut calls) = fake.welcome();
        let mut control = Wire::new(control, epoch);
        member.until_following(Epoch(0));
        let head = serde_json::to_vec(&Parcel::Topic { topic: "t".into(), from: MemberInfo::of(1) }).unwrap();
        let mut frame = Vec::new();
        if of_calls {
            encode(&mut frame, Kind::Replies, Codec::Bytes, epoch, &vec![7; LARGE]);
        } else {
            encode_parcel(&mut frame, Codec::Bytes, epoch, &head, &vec![7; LARGE]);
        }
        control.say(&announce(&frame, of_calls));
        control.until_granted(of_calls);
        let bytes = if of_calls { frame } else { chunks(epoch, &frame) };
        let stream = if of_calls { &mut calls } else { &mut control.stream };
        dribble(stream, &bytes, || member.take());
        assert!(!member.notices().any(|notice| matches!(notice, Notice::PrimaryFrozen { .. })), "{of_calls}");
        member.until_notice("the silence", |notice| {
            matches!(notice, Notice::PrimaryFrozen { .. }).then_some(())
        });
    }
}

#[test]
fn a_beat_passes_a_large_frame_that_is_read_slowly_and_so_does_a_question() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, epoch, socket) = primary(impatient(runtime.path()));
    let mut hand = Hand::join(&socket, 7, PROTOCOL);
    let body = Body { codec: Codec::Bytes, bytes: vec![0; LARGE].into() };
    let parcel = Parcel::Publish { request: 1, topic: "t".into() };
    primary.agent.tell(Command::Parcel(epoch, Box::new((parcel, body))));
    let length = hand.control.until("an announcement", |message| match message {
        Message::Announce { bytes, lane: false } => Some(*bytes as usize),
        _ => None,
    });
    assert!(length > LARGE);
    hand.control.say(&Message::Grant { lane: false });
    hand.control.say(&Message::ListMembers { request: 9 });
    let (mut got, mut listed) = (0, false);
    let (mut beat, mut longest) = (Instant::now(), Duration::ZERO);
    while got < length + HEADER_LEN {
        let frame = hand.control.frame().unwrap();
        match frame.kind {
            Kind::Chunk => {
                assert!(frame.payload.len() <= SMALL);
                got += frame.payload.len();
                // A megabyte takes more than a second.
                std::thread::sleep(Duration::from_millis(70));
                hand.beat();
                primary.take();
            }
            _ => match Message::from_frame(&frame).unwrap() {
                Message::Beat { .. } => {
                    longest = longest.max(beat.elapsed());
                    beat = Instant::now();
                }
                Message::Members { request: 9, .. } => listed = true,
                _ => {}
            },
        }
    }
    // No longer than it takes to read what the socket holds.
    assert!(longest.max(beat.elapsed()) < LIMIT && listed, "{longest:?} {listed}");
}

#[test]
fn half_sent_frames_hold_up_no_small_call_and_no_more_than_the_budget_is_granted() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, epoch, socket) = primary(options(runtime.path()));
    let mut hands: Vec<_> = (0..24).map(|pid| Hand::join(&socket, pid, PROTOCOL)).collect();
    let mut frame = Vec::new();
    encode(&mut frame, Kind::Calls, Codec::Bytes, epoch, &vec![7; LARGE]);
    for (index, hand) in hands.iter_mut().enumerate() {
        // Half of them on the one lane, half on the other: there is one budget.
        hand.control.say(&announce(&frame, index % 2 == 0));
        // In this order.
        hand.control.say(&Message::ListMembers { request: 1 });
        hand.control.until("the list", |message| match message {
            Message::Members { .. } => Some(Some(())),
            Message::Grant { .. } => Some(None),
            _ => None,
        });
    }
    let mut caller = Member::start(options(runtime.path()));
    let lane = caller.lane(0);
    let half = frame.len() / 2;
    for hand in hands.iter_mut().step_by(2).take(2) {
        hand.calls.stream.write_all(&frame[..half]).unwrap();
    }
    caller.send(lane);
    primary.until("the small call", |item| match item {
        Item::Frame(_, frame) => (&frame.payload[..] == b"[]").then_some(()),
        _ => None,
    });
    // The fifth one has to wait, until one of the first four is gone.
    let fifth = hands.remove(4);
    let mut fifth = fifth.control;
    assert!(!fifth.is_granted(Duration::from_millis(200)));
    drop(hands.remove(0));
    fifth.until_granted(true);
}

#[test]
fn who_was_granted_something_and_sends_nothing_is_turned_out_and_so_is_who_reads_nothing() {
    for reads in [true, false] {
        let runtime = tempfile::tempdir().unwrap();
        let (mut primary, epoch, socket) = primary(impatient(runtime.path()));
        let mut hand = Hand::join(&socket, 7, PROTOCOL);
        if reads {
            hand.control.say(&announce(&publication(epoch, 1), false));
            hand.control.until_granted(false);
        } else {
            // What is announced to it, it does not grant.
            let body = Body { codec: Codec::Bytes, bytes: vec![0; LARGE].into() };
            let parcel = Parcel::Publish { request: 1, topic: "t".into() };
            primary.agent.tell(Command::Parcel(epoch, Box::new((parcel, body))));
        }
        let began = Instant::now();
        let deadline = began + BOUND;
        while !primary.notices().any(|notice| matches!(notice, Notice::MemberLeft { .. })) {
            assert!(Instant::now() < deadline, "{:#?}", primary.told);
            // It beats: its process lives.
            hand.beat();
            std::thread::sleep(Duration::from_millis(20));
            primary.take();
        }
        assert!(began.elapsed() >= LIMIT / 2, "{:?}", began.elapsed());
        let why = if reads { "has sent nothing for" } else { "has read nothing for" };
        assert!(blames(&primary).iter().any(|blame| blame.contains(why)), "{:?}", blames(&primary));
        hand.control.until_end();
        hand.calls.until_end();
    }
}

#[test]
fn who_reads_slowly_is_no_dead_one_and_gets_all_of_it_while_others_wait_for_it() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, epoch, socket) = primary(impatient(runtime.path()));
    let mut slow = Hand::join(&socket, 7, PROTOCOL);
    let mut publisher = Member::start(impatient(runtime.path()));
    publisher.until_following(Epoch(0));
    for request in 1..=COUNT {
        let body = Body { codec: Codec::Bytes, bytes: vec![0; LARGE].into() };
        let parcel = Parcel::Publish { request, topic: "t".into() };
        publisher.agent.tell(Command::Parcel(epoch, Box::new((parcel, body))));
    }
    let (mut got, mut frames) = (0, 0);
    while frames < COUNT {
        let frame = slow.control.frame().expect("it is not turned out");
        primary.take();
        publisher.take();
        match frame.kind {
            Kind::Chunk => {
                got += frame.payload.len();
                if got % (8 * SMALL) == 0 {
                    std::thread::sleep(Duration::from_millis(20));
                    slow.beat();
                }
                frames += u32::from(frame.payload.len() < SMALL);
            }
            Kind::Control => {
                if let Message::Announce { lane: false, .. } = Message::from_frame(&frame).unwrap() {
                    slow.control.say(&Message::Grant { lane: false });
                }
            }
            _ => {}
        }
    }
    assert_eq!(blames(&primary), Vec::<String>::new());
}

#[test]
fn a_call_lane_ends_with_its_control_connection_and_what_comes_after_that_is_not_run() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, epoch, socket) = primary(options(runtime.path()));
    let Hand { control, mut calls, .. } = Hand::join(&socket, 7, PROTOCOL);
    let call = |text: &[u8]| {
        let mut frame = Vec::new();
        encode(&mut frame, Kind::Calls, Codec::Text, epoch, text);
        frame
    };
    calls.stream.write_all(&call(b"[1]")).unwrap();
    primary.until("the first call", |item| matches!(item, Item::Frame(..)).then_some(()));
    drop(control);
    primary.until_notice("its end", |notice| matches!(notice, Notice::MemberLeft { .. }).then_some(()));
    let began = Instant::now();
    calls.until_end();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let _ = calls.stream.write_all(&call(b"[2]"));
    primary
        .until_notice("the lane's end", |notice| matches!(notice, Notice::LaneClosed { .. }).then_some(()));
    assert_eq!(primary.told.iter().filter(|(_, item)| matches!(item, Item::Frame(..))).count(), 1);
    // And a lane is not opened for a member that is gone.
    let Hand { mut control, calls, .. } = Hand::join(&socket, 8, PROTOCOL);
    drop(calls);
    control.until_end();
}

#[test]
fn a_hello_with_long_texts_is_refused_and_nobody_else_hears_of_it() {
    let runtime = tempfile::tempdir().unwrap();
    let (_primary, _, socket) = primary(options(runtime.path()));
    for length in [3_000, 900_000] {
        let mut wire = Wire::new(UnixStream::connect(&socket).unwrap(), Epoch(0));
        let member = MemberInfo { version: "x".repeat(length), ..MemberInfo::of(7) };
        let hello =
            Message::Hello { protocol: PROTOCOL, oldest: None, beat_ms: None, member, max_payload: 1024 };
        // It may be cut off in the middle.
        let _ = wire.stream.write_all(&hello.to_bytes(Epoch(0)));
        if length < SMALL {
            let why = wire.until("a refusal", |message| match message {
                Message::Refused { reason } => Some(reason.clone()),
                _ => None,
            });
            assert!(why.contains("2048 bytes"), "{why}");
        }
        wire.until_end();
    }
    let mut other = Member::start(options(runtime.path()));
    other.until_following(Epoch(0));
    assert!(!other.notices().any(|notice| matches!(notice, Notice::MemberJoined { .. })));
}

#[test]
fn what_was_not_granted_or_not_announced_ends_the_connection() {
    let runtime = tempfile::tempdir().unwrap();
    let (_primary, epoch, socket) = primary(options(runtime.path()));
    let large = publication(epoch, 1);
    let mut calls = Vec::new();
    encode(&mut calls, Kind::Calls, Codec::Bytes, epoch, &vec![7; LARGE]);
    let words = |message: &Message| message.to_bytes(epoch);
    let broken: Vec<(bool, Vec<u8>)> = vec![
        (true, large[..SMALL].to_vec()),
        (true, chunks(epoch, &large)),
        (true, words(&Message::Announce { bytes: 10, lane: false })),
        (true, words(&Message::Announce { bytes: u32::MAX, lane: false })),
        (true, words(&Message::Announce { bytes: u32::MAX, lane: true })),
        (true, words(&Message::Grant { lane: false })),
        (true, words(&Message::Grant { lane: true })),
        (false, calls[..SMALL].to_vec()),
    ];
    for (on_control, bytes) in broken {
        let mut hand = Hand::join(&socket, 7, PROTOCOL);
        let wire = if on_control { &mut hand.control } else { &mut hand.calls };
        // It may end before all of it is written.
        let _ = wire.stream.write_all(&bytes);
        hand.control.until_end();
        hand.calls.until_end();
        let mut byte = [0];
        assert!(matches!(hand.calls.stream.read(&mut byte), Ok(0) | Err(_)));
    }
}
