//! What is said on the control lane, a message a line, and the last word of a call lane: it stays the same when it is
//! written again, and a follower can hear all of it.
#![no_main]

use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use process_agent::ipc::deaths::{Deaths, Known};
use process_agent::ipc::frame::{whole, Codec, Frame, Kind};
use process_agent::ipc::message::{Final, MemberInfo, Message, Speaks};
use process_agent::role::{Epoch, MemberId};
use process_agent::time::Moment;

const NOW: u64 = 1_790_000_000_000;

fn now() -> Moment {
    Moment { wall: NOW, host: NOW }
}

fuzz_target!(|data: &[u8]| {
    let primary = MemberInfo { id: MemberId(1), ..MemberInfo::of(7) };
    let mut known = Known::new(primary.clone(), MemberId(2), vec![primary], Vec::new());
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(last) = serde_json::from_slice::<Final>(line) {
            assert_eq!(serde_json::from_slice::<Final>(&last.to_bytes()).ok(), Some(last));
        }
        let frame = Frame {
            kind: Kind::Control,
            codec: Codec::Text,
            epoch: Epoch(NOW),
            payload: Bytes::copy_from_slice(line),
            head: Bytes::new(),
        };
        let Ok(message) = Message::from_frame(&frame) else { continue };
        assert_eq!(again(&message), message);
        match message {
            Message::Hello { protocol, oldest, .. } => {
                let _ = Speaks::default().agree(Speaks { protocol, oldest: oldest.unwrap_or(protocol) });
            }
            Message::Welcome { primary, id, members, dead, .. } => {
                known = Known::new(primary, id, members, dead);
            }
            message => known.hear(&message),
        }
        let _ = known.set_silent(Some(now()));
        let _ = known.without_primary();
        let mut deaths = Deaths::new(known.clone().legacy(now()), Duration::MAX, now());
        let _ = deaths.now(usize::MAX, Moment { wall: u64::MAX, host: u64::MAX });
    }
});

fn again(message: &Message) -> Message {
    let bytes = message.to_bytes(Epoch(NOW));
    let most = bytes.len();
    Message::from_frame(&whole(bytes, most).expect("a frame")).expect("a message")
}
