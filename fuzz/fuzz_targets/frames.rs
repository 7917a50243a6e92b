//! Frames of any stream, however it arrives: the same ones, and they are what was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use process_agent::ipc::frame::{encode, encode_parcel, Frame, FrameReader, Kind};

fuzz_target!(|data: &[u8]| {
    let Some((&[limit, piece], stream)) = data.split_first_chunk() else { return };
    let limit = usize::from(limit) * 16;
    let (frames, ended) = read(limit, stream, stream.len());
    assert_eq!(read(limit, stream, usize::from(piece)), (frames.clone(), ended));
    let mut again = Vec::new();
    for Frame { kind, codec, epoch, payload, head } in frames {
        assert!(payload.len() + head.len() <= limit);
        if kind == Kind::Parcel {
            encode_parcel(&mut again, codec, epoch, &head, &payload);
        } else {
            encode(&mut again, kind, codec, epoch, &payload);
        }
    }
    assert!(stream.starts_with(&again));
});

/// The frames, and the error that ended them.
fn read(limit: usize, stream: &[u8], piece: usize) -> (Vec<Frame>, Option<String>) {
    let mut reader = FrameReader::new(limit);
    let mut frames = Vec::new();
    for bytes in stream.chunks(piece.max(1)) {
        reader.space().extend_from_slice(bytes);
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error.to_string())),
            }
        }
    }
    (frames, None)
}
