//! A call lane that the event loop reads, by a test in its place.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use process_agent::agent::Options;
use process_agent::inbox::Notice;
use process_agent::ipc::frame::{encode, Codec, Kind};
use process_agent::ipc::lane::reader::{Fill, LaneReader};
use process_agent::ipc::lane::ReadBy;
use process_agent::ipc::message::Final;
use process_agent::role::Epoch;
use support::by_hand::Fake;
use support::{options, Member};

#[test]
fn what_came_in_one_piece_with_the_handshake_is_read_also_when_the_lane_has_ended() {
    let runtime = tempfile::tempdir().unwrap();
    let fake = Fake::new(options(runtime.path()), Epoch(5));
    let polled = Options { candidate: false, read_by: ReadBy::EventLoop, ..options(runtime.path()) };
    let mut member = Member::start(polled);
    let mut behind = Vec::new();
    encode(&mut behind, Kind::Replies, Codec::Text, Epoch(5), b"[]");
    let last = Final { accepted: 3, relieved: false };
    encode(&mut behind, Kind::Final, Codec::Text, Epoch(5), &last.to_bytes());
    let (_control, calls) = fake.welcome_with(&behind);
    drop(calls);

    let number = member.lane(0);
    let lane = member.agent.lane(number).unwrap();
    let mut reader = LaneReader::new(lane, true).unwrap();
    assert!(LaneReader::new(member.agent.lane(number).unwrap(), true).is_none(), "one reader for each lane");
    let mut frames = Vec::new();
    loop {
        let filled = reader.fill();
        frames.extend(std::iter::from_fn(|| reader.next_frame()).map(|frame| frame.payload));
        if filled == Fill::End {
            break;
        }
    }
    assert_eq!(frames, [b"[]".as_slice()]);
    assert_eq!(reader.lane().last(), Some(last));
    member.until_notice("the end of the lane", |notice| {
        matches!(notice, Notice::LaneClosed { .. }).then_some(())
    });
}
