//! The life of members, on real sockets and locks, without Node.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use process_agent::inbox::{Item, Notice};
use process_agent::ipc::frame::{encode, Codec, Kind};
use process_agent::ipc::lane::Sent;
use process_agent::membership::Command;
use process_agent::role::Epoch;

use support::{options, pair, Member};

#[test]
fn of_many_that_start_at_once_exactly_one_is_primary() {
    let runtime = tempfile::tempdir().unwrap();
    let mut members: Vec<_> = (0..12).map(|_| Member::start(options(runtime.path()))).collect();
    let roles: Vec<_> = members.iter_mut().map(|member| member.until_role(Epoch(0))).collect();
    assert_eq!(roles.iter().filter(|(primary, _)| *primary).count(), 1, "{roles:?}");
    assert!(roles.iter().all(|(_, epoch)| *epoch == roles[0].1), "{roles:?}");
}

#[test]
fn when_the_primary_leaves_the_next_one_takes_a_higher_epoch() {
    let runtime = tempfile::tempdir().unwrap();
    let mut first = Member::start(options(runtime.path()));
    let epoch = first.until_elected(Epoch(0));
    let mut second = Member::start(options(runtime.path()));
    assert_eq!(second.until_following(Epoch(0)), epoch);
    first.agent.end();
    assert!(second.until_elected(epoch) > epoch);
}

#[test]
fn a_member_that_is_no_candidate_never_leads() {
    let runtime = tempfile::tempdir().unwrap();
    let mut script =
        Member::start(process_agent::agent::Options { candidate: false, ..options(runtime.path()) });
    let mut candidate = Member::start(options(runtime.path()));
    let epoch = candidate.until_elected(Epoch(0));
    assert_eq!(script.until_following(Epoch(0)), epoch);
    candidate.agent.end();
    let mut next = Member::start(options(runtime.path()));
    assert_eq!(script.until_following(epoch), next.until_elected(epoch));
    assert!(!script.notices().any(|notice| matches!(notice, Notice::Elected { .. })));
}

#[test]
fn the_preferred_one_leads_when_it_comes_within_the_grace_time() {
    for _ in 0..5 {
        let runtime = tempfile::tempdir().unwrap();
        let waits = || process_agent::agent::Options { wait_for_preferred: true, ..options(runtime.path()) };
        let mut others = [Member::start(waits()), Member::start(waits())];
        let mut preferred = Member::start(process_agent::agent::Options { preferred: true, ..waits() });
        let epoch = preferred.until_elected(Epoch(0));
        for other in &mut others {
            assert_eq!(other.until_role(Epoch(0)), (false, epoch));
        }
    }
}

#[test]
fn after_a_primary_has_gone_nobody_waits_for_a_preferred_one() {
    // The quickest of several: waiting would make every one of them take the grace time.
    let quickest = (0..5).map(|_| {
        let runtime = tempfile::tempdir().unwrap();
        let waits = || process_agent::agent::Options { wait_for_preferred: true, ..options(runtime.path()) };
        let mut preferred = Member::start(process_agent::agent::Options { preferred: true, ..waits() });
        let epoch = preferred.until_elected(Epoch(0));
        let mut other = Member::start(waits());
        other.until_following(Epoch(0));
        preferred.agent.end();
        let gone = Instant::now();
        other.until_elected(epoch);
        gone.elapsed()
    });
    assert!(quickest.min().unwrap() < Duration::from_millis(150));
}

#[test]
fn frames_arrive_in_order_and_once() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, _, worker, lane) = pair(|| options(runtime.path()));
    // Large ones fill the socket, so that the writer task and the direct writes take turns.
    let sizes = [10, 400_000, 3, 0, 900_000, 17, 64 * 1024, 1];
    for round in 0..50u64 {
        for (index, size) in sizes.iter().enumerate() {
            let mut payload = vec![u8::try_from(index).unwrap(); *size];
            payload.extend_from_slice(&round.to_le_bytes());
            let sent = worker.agent.send(lane, Kind::Calls, Codec::Bytes, &payload, false);
            assert_eq!(sent, Sent::Frame(round * 8 + index as u64 + 1));
        }
    }
    primary.until("the last frame", |item| match item {
        Item::Frame(_, frame) if frame.payload.len() == 9 && frame.payload[1..] == 49u64.to_le_bytes() => {
            Some(())
        }
        _ => None,
    });
    let seen: Vec<_> = primary
        .told
        .iter()
        .filter_map(|(_, item)| match item {
            Item::Frame(_, frame) => Some(frame.payload.len()),
            Item::Room(_) | Item::Notice(_) | Item::Letter(_) => None,
        })
        .collect();
    let expected: Vec<_> = (0..50).flat_map(|_| sizes).map(|size| size + 8).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_primary_that_hands_over_says_what_it_has_accepted() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, epoch, mut worker, lane) = pair(|| options(runtime.path()));
    worker.send(lane);
    primary.until("the first frame", |item| matches!(item, Item::Frame(..)).then_some(()));
    // These are read by the primary's Rust side, but never taken by its JavaScript.
    worker.send(lane);
    worker.send(lane);
    primary.agent.tell(Command::HandOver { state: None, grace: Duration::ZERO });
    let closed = worker.until_notice("the end of the lane", |notice| match notice {
        Notice::LaneClosed { written, accepted, .. } => Some((*written, *accepted)),
        _ => None,
    });
    assert_eq!(closed, (3, Some(1)));
    let next = worker.until_elected(epoch);
    assert_eq!(primary.until_following(epoch), next);
    primary.take();
    assert_eq!(primary.told.iter().filter(|(_, item)| matches!(item, Item::Frame(..))).count(), 1);
}

#[test]
fn what_comes_behind_the_request_for_the_last_word_is_not_accepted() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, _, mut worker, lane) = pair(|| options(runtime.path()));
    worker.send(lane);
    primary.until("the first frame", |item| matches!(item, Item::Frame(..)).then_some(()));
    primary.agent.tell(Command::HandOver { state: None, grace: Duration::ZERO });
    // Both wait in the primary's inbox then.
    std::thread::sleep(Duration::from_millis(100));
    worker.send(lane);
    std::thread::sleep(Duration::from_millis(100));
    let (items, left) = primary.agent.take();
    assert!(matches!(items.last(), Some(Item::Notice(Notice::Finishing))), "{items:?}");
    assert!(left && items.iter().all(Item::accept));
    primary.agent.finish_lanes();
    let closed = worker.until_notice("the end of the lane", |notice| match notice {
        Notice::LaneClosed { written, accepted, .. } => Some((*written, *accepted)),
        _ => None,
    });
    assert_eq!(closed, (2, Some(1)));
}

#[test]
fn a_folder_that_is_removed_and_made_anew_does_not_make_two_primaries() {
    let runtime = tempfile::tempdir().unwrap();
    let mut first = Member::start(options(runtime.path()));
    let epoch = first.until_elected(Epoch(0));
    let mut worker = Member::start(options(runtime.path()));
    worker.until_following(Epoch(0));
    fs::remove_dir_all(first.agent.folder()).unwrap();
    let mut second = Member::start(options(runtime.path()));
    let (_, next) = second.until_role(epoch);
    assert!(next > epoch, "the epochs must not start over: {next} after {epoch}");
    first.until_notice("the end of the first tenure", |notice| {
        matches!(notice, Notice::Leaderless { .. }).then_some(())
    });
    let ended = first
        .told
        .iter()
        .find(|(_, item)| matches!(item, Item::Notice(Notice::Leaderless { .. })))
        .unwrap()
        .0;
    for member in [&mut first, &mut worker, &mut second] {
        member.until_role(epoch);
        for (at, item) in &member.told {
            if matches!(item, Item::Notice(Notice::Elected { epoch: new, .. }) if *new > epoch) {
                // Taken by different threads of this test: a little play.
                assert!(*at + Duration::from_millis(50) > ended, "elected before the first tenure had ended");
            }
        }
    }
    let leaders = [&first, &worker, &second]
        .iter()
        .filter(|member| {
            member.notices().any(|n| matches!(n, Notice::Elected { epoch: e, .. } if *e == next))
        })
        .count();
    assert_eq!(leaders, 1);
}

#[test]
fn a_stale_socket_and_lock_neither_stop_nor_delay_the_start() {
    let runtime = tempfile::tempdir().unwrap();
    let folder = {
        let mut first = Member::start(options(runtime.path()));
        first.until_elected(Epoch(0));
        first.agent.folder().to_owned()
    };
    // A socket file that nobody listens on any more, as a killed process leaves it.
    let _ = fs::remove_file(folder.join("socket"));
    drop(UnixListener::bind(folder.join("socket")).unwrap());
    let began = Instant::now();
    Member::start(options(runtime.path())).until_elected(Epoch(0));
    // Waiting for an answer of the dead one would take two seconds.
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn bytes_that_are_no_frame_close_their_connection_and_hurt_nobody_else() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, _, worker, lane) = pair(|| options(runtime.path()));
    let mut hello = Vec::new();
    encode(
        &mut hello,
        Kind::Control,
        Codec::Text,
        Epoch(0),
        br#"{"type":"open-calls","id":2,"token":"guess"}"#,
    );
    let garbage: [&[u8]; 5] =
        [b"GET / HTTP/1.1\r\n\r\n", &[0xff; 64], &[0; 64], &[16, 0, 0, 0, 9, 9, 9, 9], &hello];
    for bytes in garbage {
        let mut stream = UnixStream::connect(primary.agent.folder().join("socket")).unwrap();
        stream.set_read_timeout(Some(support::BOUND)).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // Closed, perhaps with a reset because some bytes were not read.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty(), "{answer:?}");
    }
    worker.send(lane);
    primary.until("a frame of the member that behaves", |item| matches!(item, Item::Frame(..)).then_some(()));
}

#[test]
fn a_folder_that_can_not_be_made_fails_the_start_and_names_it() {
    let runtime = tempfile::tempdir().unwrap();
    let file = runtime.path().join("file");
    fs::write(&file, "").unwrap();
    let mut member = Member::start(process_agent::agent::Options {
        runtime_dir: Some(file.join("below")),
        ..options(runtime.path())
    });
    let (code, message) = member.until_notice("the failure", |notice| match notice {
        Notice::Failed { code, message } => Some((*code, message.clone())),
        _ => None,
    });
    assert_eq!(code, "ERR_AGENT_RUNTIME_DIR");
    assert!(message.contains("file/below"), "{message}");
}
