//! Frames through shared memory, beside the socket of their lane.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;

use process_agent::agent::Options;
use process_agent::inbox::Notice;
use process_agent::ipc::frame::{header, Codec, Kind, HEADER_LEN};
use process_agent::ipc::lane::memory::{send_with, Memory};
use process_agent::ipc::lane::reader::{Fill, LaneReader};
use process_agent::ipc::lane::ring::{Corrupt, Pushed, Reader, Writer};
use process_agent::ipc::lane::{ReadBy, Sent};
use process_agent::membership::Command;
use process_agent::role::Epoch;
use support::by_hand::Fake;
use support::{options, pair, Member, BOUND};

fn polled(runtime: &Path) -> Options {
    Options { read_by: ReadBy::EventLoop, ..options(runtime) }
}

fn reader(member: &mut Member, waits_awake: bool) -> LaneReader {
    let lane = member.lane(0);
    LaneReader::new(member.agent.lane(lane).unwrap(), waits_awake).unwrap()
}

/// Reads until `done`. Gives what came.
fn read_until(
    reader: &mut LaneReader,
    what: &str,
    mut done: impl FnMut(&LaneReader, usize) -> bool,
) -> Vec<Vec<u8>> {
    let deadline = std::time::Instant::now() + BOUND;
    let mut payloads = Vec::new();
    while !done(reader, payloads.len()) {
        let filled = reader.fill();
        reader.look();
        payloads.extend(std::iter::from_fn(|| reader.next_frame()).map(|frame| frame.payload.to_vec()));
        assert!(filled != Fill::End || done(reader, payloads.len()), "the lane has ended before {what}");
        assert!(std::time::Instant::now() < deadline, "waited for {what}");
        std::thread::yield_now();
    }
    payloads
}

fn send(member: &Member, lane: u32, kind: Kind, payload: &[u8]) {
    assert!(matches!(member.agent.send(lane, kind, Codec::Bytes, payload, false), Sent::Frame(_)));
}

/// Both ends of a lane with shared memory: the primary's reader, and the worker's.
fn sharing(primary: &mut Member, worker: &mut Member) -> (LaneReader, LaneReader) {
    let (mut called, mut calling) = (reader(primary, true), reader(worker, true));
    calling.wake();
    read_until(&mut called, "the question for memory", |reader, _| reader.has_memory());
    read_until(&mut calling, "memory", |reader, _| reader.has_memory());
    (called, calling)
}

#[test]
fn frames_keep_their_order_whichever_way_they_go() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, _, mut worker, lane) = pair(|| polled(runtime.path()));
    let (mut called, mut calling) = sharing(&mut primary, &mut worker);
    let replies = primary.lane(0);

    for (member, lane, kind, reader) in
        [(&worker, lane, Kind::Calls, &mut called), (&primary, replies, Kind::Replies, &mut calling)]
    {
        let mut seed: u32 = 1;
        let mut random = move |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        let (mut sent, mut got, mut through_memory) = (Vec::new(), Vec::new(), 0);
        for number in 0u32..3000 {
            match random(4) {
                0 => reader.wake(),
                1 => drop(reader.sleep()),
                _ => {}
            }
            // Most are small; of the others many don't fit into what is free.
            let size = if random(8) == 0 { random(9000) } else { random(300) };
            let mut payload = number.to_le_bytes().to_vec();
            payload.resize(4 + size as usize, 7);
            let before = reader.has_next();
            send(member, lane, kind, &payload);
            through_memory += u32::from(!before && reader.has_next());
            sent.push(payload);
            if random(16) == 0 || got.len() + 20 < sent.len() {
                let wanted = sent.len() - got.len();
                got.extend(read_until(reader, "what was sent", |_, count| count >= wanted));
            }
        }
        let wanted = sent.len() - got.len();
        got.extend(read_until(reader, "the rest", |_, count| count >= wanted));
        assert!(got == sent, "{kind:?}");
        assert!(through_memory > 100, "{through_memory} of {}", sent.len());
    }
}

#[test]
fn what_is_sent_to_an_end_that_went_to_sleep_wakes_it() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, _, mut worker, lane) = pair(|| polled(runtime.path()));
    let (mut called, _calling) = sharing(&mut primary, &mut worker);
    called.wake();
    send(&worker, lane, Kind::Calls, b"seen");
    assert_eq!(called.fill(), Fill::Nothing, "it went through memory");
    assert!(called.sleep(), "there is something");
    send(&worker, lane, Kind::Calls, b"on the socket");
    assert_eq!(read_until(&mut called, "both", |_, count| count == 2), [&b"seen"[..], b"on the socket"]);
    assert!(!called.sleep());
}

#[test]
fn an_end_that_does_not_wait_awake_shares_nothing() {
    for waits_awake in [(true, false), (false, true)] {
        let runtime = tempfile::tempdir().unwrap();
        let (mut primary, _, mut worker, lane) = pair(|| polled(runtime.path()));
        let (mut called, mut calling) =
            (reader(&mut primary, waits_awake.0), reader(&mut worker, waits_awake.1));
        calling.wake();
        called.wake();
        send(&worker, lane, Kind::Calls, b"a call");
        assert_eq!(read_until(&mut called, "the call", |_, count| count == 1), [b"a call"]);
        let replies = primary.lane(0);
        send(&primary, replies, Kind::Replies, b"a reply");
        assert_eq!(read_until(&mut calling, "the reply", |_, count| count == 1), [b"a reply"]);
        assert!(!called.has_memory() && !calling.has_memory());
    }
}

/// A member, and what a primary by hand has of it after it has given it memory.
struct Given {
    memory: Memory,
    _control: UnixStream,
    calls: UnixStream,
    reader: LaneReader,
    member: Member,
    _fake: Fake,
    _runtime: tempfile::TempDir,
}

const EPOCH: Epoch = Epoch(5);

fn given() -> Given {
    let runtime = tempfile::tempdir().unwrap();
    let fake = Fake::new(options(runtime.path()), EPOCH);
    let mut member = Member::start(Options { candidate: false, ..polled(runtime.path()) });
    let (control, mut calls) = fake.welcome();
    let mut reader = reader(&mut member, true);
    reader.wake();
    let mut question = [0; HEADER_LEN];
    calls.read_exact(&mut question).unwrap();
    assert_eq!(question, header(Kind::Ring, Codec::Bytes, EPOCH, 0, 0));
    let (memory, file) = Memory::create().unwrap();
    assert!(send_with(&calls, &question, &file));
    read_until(&mut reader, "memory", |reader, _| reader.has_memory());
    Given { memory, _control: control, calls, reader, member, _fake: fake, _runtime: runtime }
}

fn until_closed(member: &mut Member) -> u64 {
    member.until_notice("the end of the lane", |notice| match notice {
        Notice::LaneClosed { written, accepted: None, .. } => Some(*written),
        _ => None,
    })
}

#[test]
fn calls_that_a_primary_has_not_taken_out_of_memory_are_taken_back() {
    let mut given = given();
    let lane = given.member.lane(0);
    Reader::wake(given.memory.calls());
    for payload in [&b"taken"[..], b"left", b"left as well"] {
        send(&given.member, lane, Kind::Calls, payload);
    }
    let mut taking = Reader::default();
    taking.look(given.memory.calls()).unwrap();
    assert!(taking.take(given.memory.calls(), 1).unwrap().unwrap().ends_with(b"taken"));
    // A reply is left in memory: it is read.
    given.reader.wake();
    let head = header(Kind::Replies, Codec::Bytes, EPOCH, 0, 1);
    assert_eq!(Writer::default().push(given.memory.replies(), 1, head, b"1"), Pushed::Yes);
    drop(given.calls);
    assert_eq!(read_until(&mut given.reader, "the reply", |_, count| count == 1), [b"1"]);
    while given.reader.fill() != Fill::End {}
    assert_eq!(until_closed(&mut given.member), 1);
    // It was but slow, and finds nothing more.
    taking.look(given.memory.calls()).unwrap();
    assert!(!taking.has(given.memory.calls(), 2));
    assert_eq!(taking.take(given.memory.calls(), 2), Ok(None));
}

#[test]
fn calls_of_a_member_that_leaves_are_still_there_to_be_taken() {
    let mut given = given();
    let lane = given.member.lane(0);
    Reader::wake(given.memory.calls());
    send(&given.member, lane, Kind::Calls, b"last");
    given.member.agent.tell(Command::Leave);
    assert_eq!(until_closed(&mut given.member), 1);
    let mut taking = Reader::default();
    taking.look(given.memory.calls()).unwrap();
    assert!(taking.take(given.memory.calls(), 1).unwrap().unwrap().ends_with(b"last"));
}

#[test]
fn memory_that_no_member_writes_so_ends_the_lane() {
    let head = |kind| header(kind, Codec::Bytes, Epoch(5), 0, 0);
    let garbage: [(u64, [u8; HEADER_LEN]); 5] = [
        (1, [0xff; HEADER_LEN]),
        // A number that was had before.
        (0, head(Kind::Replies)),
        // A frame that has its place on the socket.
        (1, head(Kind::Final)),
        (1, header(Kind::Replies, Codec::Bytes, Epoch(6), 0, 0)),
        // More than there is.
        (1, header(Kind::Replies, Codec::Bytes, Epoch(5), 0, 9)),
    ];
    for (number, head) in garbage {
        let mut given = given();
        given.reader.wake();
        assert_eq!(Writer::default().push(given.memory.replies(), number, head, &[]), Pushed::Yes);
        given.reader.look();
        assert_eq!(given.reader.next_frame(), None);
        assert_eq!(given.reader.fill(), Fill::End, "{number} {head:?}");
        until_closed(&mut given.member);
    }
}

#[test]
fn a_record_that_is_out_of_its_order_waits_and_keeps_nobody_awake() {
    let mut given = given();
    given.reader.wake();
    let head = header(Kind::Replies, Codec::Bytes, EPOCH, 0, 0);
    assert_eq!(Writer::default().push(given.memory.replies(), 2, head, &[]), Pushed::Yes);
    given.reader.look();
    assert_eq!(given.reader.next_frame(), None);
    assert!(!given.reader.has_next() && !given.reader.sleep());
    assert_eq!(given.reader.fill(), Fill::Nothing);
}

#[test]
fn positions_that_no_writer_has_are_refused() {
    let (memory, file) = Memory::create().unwrap();
    let ring = memory.calls();
    Reader::wake(ring);
    let (mut writer, mut reader) = (Writer::default(), Reader::default());
    assert_eq!(writer.push(ring, 1, [1; 16], b"x"), Pushed::Yes);
    reader.look(ring).unwrap();
    assert!(reader.take(ring, 1).unwrap().is_some());
    let forge = |offset, position: u32| {
        assert_eq!(rustix::io::pwrite(&file, &position.to_ne_bytes(), offset), Ok(4));
    };
    // Where the writer has written to: less than was read, or more than there is room for.
    for written in [0, 1, 5000, u32::MAX] {
        forge(0, written);
        assert_eq!(reader.look(ring), Err(Corrupt), "{written}");
    }
    // How far the reader has read: farther than anything was written, or not at all for a long time.
    for read in [6, 5000, u32::MAX - 4000] {
        forge(64, read);
        assert_eq!(writer.push(ring, 2, [1; 16], b"y"), Pushed::No, "{read}");
        assert_eq!(writer.revoke(ring), None, "{read}");
    }
}

#[test]
fn memory_that_can_change_its_size_is_refused() {
    use rustix::fs::{fcntl_add_seals, ftruncate, memfd_create, MemfdFlags, SealFlags};
    let (_memory, file) = Memory::create().unwrap();
    Memory::open(&file).unwrap();
    let size = u64::try_from(rustix::fs::fstat(&file).unwrap().st_size).unwrap();
    assert!(ftruncate(&file, 0).is_err());
    let other = |size, seals| {
        let file = memfd_create("other", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&file, size).unwrap();
        fcntl_add_seals(&file, seals).unwrap();
        Memory::open(&file).map(drop)
    };
    let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    other(size, seals).unwrap();
    assert!(other(size, SealFlags::GROW | SealFlags::SEAL).is_err());
    assert!(other(size + 1, seals).is_err());
    assert!(other(0, seals).is_err());
}
