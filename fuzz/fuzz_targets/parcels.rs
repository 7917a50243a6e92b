//! Any head, and any body behind it: what is a parcel stays the same when it is written again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use process_agent::ipc::frame::{encode_parcel, whole, Codec};
use process_agent::ipc::parcel::{Body, Parcel, MAX_HEAD};
use process_agent::role::Epoch;

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()).min(MAX_HEAD);
    let (head, body) = data.split_at(end);
    let codec = if std::str::from_utf8(body).is_ok() { Codec::Text } else { Codec::Bytes };
    let mut bytes = Vec::new();
    encode_parcel(&mut bytes, codec, Epoch(7), head, body);
    let Some((parcel, body)) = read(&bytes) else {
        assert!(Parcel::from_head(head).is_err());
        return;
    };
    assert_eq!(body, Body { codec, bytes: Bytes::copy_from_slice(&data[end..]) });
    // Written anew, a head may be longer: defaults are said, and what need not be escaped may have been.
    if let Ok(bytes) = parcel.to_bytes(Epoch(7), &body) {
        assert_eq!(read(&bytes), Some((parcel, body)));
    }
});

fn read(bytes: &[u8]) -> Option<(Parcel, Body)> {
    let frame = whole(bytes.to_vec(), bytes.len()).expect("a frame");
    Parcel::from_frame(frame).ok()
}
