//! Announcements, grants and chunks in any order: a large frame that comes out is what was put in, and was granted.
#![no_main]

use std::task::{Context, Poll, Waker};

use libfuzzer_sys::fuzz_target;
use process_agent::ipc::flow::assembly::Assembly;
use process_agent::ipc::flow::budget::ReceiveBudget;
use process_agent::ipc::frame::{encode, encode_parcel, Kind, HEADER_LEN, SMALL};

const LIMIT: usize = 4 * SMALL;

fuzz_target!(|data: &[u8]| {
    let budget = ReceiveBudget::new(LIMIT);
    let mut assembly = Assembly::new(LIMIT);
    let (mut granted, mut bytes) = (0, Vec::new());
    let mut announced = None;
    // Each step is a byte that says what, and two that say how much.
    for step in data.chunks_exact(3) {
        let size = usize::from(u16::from_le_bytes([step[1], step[2]])) * 5;
        match step[0] % 4 {
            0 => {
                if assembly.announce(size).is_err() {
                    return;
                }
                announced = Some(size);
            }
            1 => {
                let mut permit = budget.take(1);
                let Poll::Ready(permit) = permit.as_mut().poll(&mut Context::from_waker(Waker::noop()))
                else {
                    return;
                };
                assembly.grant(permit);
                granted += announced.take().map_or(0, |size| size + HEADER_LEN);
            }
            _ => {
                let chunk = if step[0] < 128 { header(size) } else { vec![b'x'; size.min(SMALL)] };
                bytes.extend_from_slice(&chunk);
                let Ok(whole) = assembly.add(&chunk) else { return };
                assert!(bytes.len() <= granted);
                if let Some(whole) = whole {
                    let frame = whole.frame;
                    let mut again = Vec::new();
                    if frame.kind == Kind::Parcel {
                        encode_parcel(&mut again, frame.codec, frame.epoch, &frame.head, &frame.payload);
                    } else {
                        encode(&mut again, frame.kind, frame.codec, frame.epoch, &frame.payload);
                    }
                    assert_eq!(again, bytes);
                    granted -= bytes.len();
                    bytes.clear();
                }
            }
        }
    }
});

/// The beginning of a frame with a payload of that size.
fn header(size: usize) -> Vec<u8> {
    use process_agent::ipc::frame::{header, Codec};
    header(Kind::Parcel, Codec::Text, process_agent::role::Epoch(7), size.min(9), size).to_vec()
}
