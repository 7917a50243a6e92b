//! The frame codec: bytes in, frames out, no I/O.
//!
//! Every connection, of either lane, carries frames of one shape (all numbers little-endian):
//!
//! ```text
//!  0        4      5       6          8                16
//!  +--------+------+-------+----------+----------------+---------------
//!  | length | kind | codec | head     | epoch          | payload …
//!  +--------+------+-------+----------+----------------+---------------
//! ```
//!
//! `length` counts what follows it (12 bytes of header and the payload). `head` counts the bytes at the beginning of a
//! parcel's payload that Rust reads; it is 0 in every other kind. Bytes come from another process and are
//! untrusted: a length is checked against the connection's limit before memory is taken for it.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::error::{AgentError, Result};
use crate::ipc::flow::budget::{held, Permit};
use crate::role::Epoch;

/// The largest payload, with a parcel's head, that needs no grant of its receiver; and the largest chunk.
pub const SMALL: usize = 64 * 1024;
/// Size of the header, the length field included.
pub const HEADER_LEN: usize = 16;
/// What `length` counts of the header.
const HEADER_AFTER_LENGTH: usize = HEADER_LEN - 4;
/// How much is read at once when no frame says how long it is.
const READ_CHUNK: usize = 64 * 1024;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A [`crate::ipc::message::Message`], Rust to Rust.
    Control = 0,
    /// A batch of calls, JavaScript to JavaScript.
    Calls = 1,
    /// A batch of replies, JavaScript to JavaScript.
    Replies = 2,
    /// The last frame of a primary that hands over; its payload is a [`crate::ipc::message::Final`].
    Final = 3,
    /// A [`crate::ipc::parcel::Parcel`] and, behind it, a body that JavaScript alone understands.
    Parcel = 4,
    /// About the memory that both ends of a lane share; without a payload. A caller asks for it, its primary hands it over, and
    /// either wakes the other end with it, to look there.
    Ring = 5,
    /// [`Kind::Calls`] whose values are packed, from protocol 3 on. A kind of its own, because JavaScript is told the kind.
    PackedCalls = 6,
    /// [`Kind::Replies`] whose values are packed.
    PackedReplies = 7,
    /// A part of a large frame of the control lane, from protocol 4 on ([`crate::ipc::flow`]).
    Chunk = 8,
}

impl Kind {
    /// Whether it is for JavaScript, and travels on a call lane.
    #[must_use]
    pub fn is_of_calls(self) -> bool {
        matches!(self, Self::Calls | Self::Replies | Self::PackedCalls | Self::PackedReplies)
    }
}

impl TryFrom<u8> for Kind {
    type Error = AgentError;

    fn try_from(byte: u8) -> Result<Self> {
        match byte {
            0 => Ok(Self::Control),
            1 => Ok(Self::Calls),
            2 => Ok(Self::Replies),
            3 => Ok(Self::Final),
            4 => Ok(Self::Parcel),
            5 => Ok(Self::Ring),
            6 => Ok(Self::PackedCalls),
            7 => Ok(Self::PackedReplies),
            8 => Ok(Self::Chunk),
            other => Err(AgentError::BadFrame(format!("unknown kind {other}"))),
        }
    }
}

/// How a payload is encoded. Rust looks into [`Codec::Text`] only to see that it is UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Codec {
    /// UTF-8 text (JSON).
    Text = 0,
    /// Bytes that JavaScript alone understands.
    Bytes = 1,
}

impl TryFrom<u8> for Codec {
    type Error = AgentError;

    fn try_from(byte: u8) -> Result<Self> {
        match byte {
            0 => Ok(Self::Text),
            1 => Ok(Self::Bytes),
            other => Err(AgentError::BadFrame(format!("unknown codec {other}"))),
        }
    }
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is for.
    pub kind: Kind,
    /// How its payload is encoded.
    pub codec: Codec,
    /// The tenure that it belongs to.
    pub epoch: Epoch,
    /// Its payload; of a parcel, the body.
    pub payload: Bytes,
    /// What Rust reads of a parcel; empty in every other kind.
    pub head: Bytes,
}

/// Appends a frame to `out`.
///
/// # Panics
/// When the payload is larger than 4 GiB less the header: the limits of a connection are far below.
pub fn encode(out: &mut Vec<u8>, kind: Kind, codec: Codec, epoch: Epoch, payload: &[u8]) {
    encode_with_head(out, kind, codec, epoch, &[], payload);
}

/// Appends a parcel to `out`: a head of at most 64 KiB, and a body.
///
/// # Panics
/// As [`encode`], and when the head is larger.
pub fn encode_parcel(out: &mut Vec<u8>, codec: Codec, epoch: Epoch, head: &[u8], body: &[u8]) {
    encode_with_head(out, Kind::Parcel, codec, epoch, head, body);
}

fn encode_with_head(out: &mut Vec<u8>, kind: Kind, codec: Codec, epoch: Epoch, head: &[u8], payload: &[u8]) {
    out.reserve(HEADER_LEN + head.len() + payload.len());
    out.put_slice(&header(kind, codec, epoch, head.len(), payload.len()));
    out.put_slice(head);
    out.put_slice(payload);
}

/// The header of a frame whose payload follows it.
///
/// # Panics
/// As [`encode_parcel`].
#[must_use]
pub fn header(kind: Kind, codec: Codec, epoch: Epoch, head: usize, payload: usize) -> [u8; HEADER_LEN] {
    let length = u32::try_from(head + payload + HEADER_AFTER_LENGTH)
        .expect("a payload is checked against its limit before");
    let head = u16::try_from(head).expect("a head is checked against its limit before");
    let mut header = [0; HEADER_LEN];
    let mut out = &mut header[..];
    out.put_u32_le(length);
    out.put_u8(kind as u8);
    out.put_u8(codec as u8);
    out.put_u16_le(head);
    out.put_u64_le(epoch.0);
    header
}

/// The one frame that `bytes` are, whole and with nothing behind it.
///
/// # Errors
/// [`AgentError::BadFrame`] when they are none, or its payload is larger than `limit`.
pub fn whole(bytes: impl Into<Bytes>, limit: usize) -> Result<Frame> {
    let mut reader = FrameReader { buffer: bytes.into().into(), ..FrameReader::new(limit) };
    match reader.next_frame()? {
        Some(frame) if reader.buffer.is_empty() => Ok(frame),
        _ => Err(AgentError::BadFrame("not one whole frame".into())),
    }
}

/// Takes bytes as they arrive and gives whole frames.
#[derive(Debug)]
pub struct FrameReader {
    buffer: BytesMut,
    limit: usize,
    /// A larger payload waits for a permit.
    gate: usize,
    permit: Option<Permit>,
}

impl FrameReader {
    /// A reader that refuses a frame whose payload is larger than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { buffer: BytesMut::new(), limit, gate: usize::MAX, permit: None }
    }

    /// From now on frames with a payload of more than `gate` bytes wait for [`Self::grant`].
    pub fn set_gate(&mut self, gate: usize) {
        self.gate = gate;
    }

    /// The payload's length of the next frame, when that waits for a permit.
    #[must_use]
    pub fn wants(&self) -> Option<usize> {
        let payload = self.payload().filter(|payload| *payload > self.gate && *payload <= self.limit);
        payload.filter(|_| self.permit.is_none())
    }

    /// The next frame may be taken. The permit is dropped with its payload.
    pub fn grant(&mut self, permit: Permit) {
        self.permit = Some(permit);
    }

    /// The kind of the frame that has begun to arrive.
    #[must_use]
    pub fn begun(&self) -> Option<Kind> {
        self.buffer.get(4).and_then(|kind| Kind::try_from(*kind).ok())
    }

    /// Changes the limit, for what has not been taken yet.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The buffer to append what arrives to, with room for at least one more byte.
    ///
    /// When the beginning of a large frame is there, the room is what is missing of it, up to 1 MiB more than what
    /// has arrived: a peer that only announces much makes us take little.
    pub fn space(&mut self) -> &mut BytesMut {
        let missing = self.announced().map_or(0, |total| total.saturating_sub(self.buffer.len()));
        let room = missing.clamp(READ_CHUNK, READ_CHUNK + self.buffer.len().max(1024 * 1024));
        if self.buffer.capacity() - self.buffer.len() < READ_CHUNK.min(missing.max(4096)) {
            self.buffer.reserve(room);
        }
        &mut self.buffer
    }

    /// The whole length of the frame whose beginning is in the buffer, if it tells already and may be taken.
    fn announced(&self) -> Option<usize> {
        let payload = self.payload().filter(|payload| *payload <= self.limit)?;
        self.wants().is_none().then_some(payload + HEADER_LEN)
    }

    /// The length of its payload, as it says.
    fn payload(&self) -> Option<usize> {
        let length = self.buffer.get(..4)?;
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        length.checked_sub(HEADER_AFTER_LENGTH)
    }

    /// The next whole frame, if it has arrived.
    ///
    /// # Errors
    /// [`AgentError::BadFrame`] when the bytes are no frame; the connection is to be closed then.
    pub fn next_frame(&mut self) -> Result<Option<Frame>> {
        if self.buffer.len() < 4 {
            return Ok(None);
        }
        let length =
            u32::from_le_bytes([self.buffer[0], self.buffer[1], self.buffer[2], self.buffer[3]]) as usize;
        if length < HEADER_AFTER_LENGTH {
            return Err(AgentError::BadFrame(format!("length {length} is shorter than a header")));
        }
        if length - HEADER_AFTER_LENGTH > self.limit {
            let size = length - HEADER_AFTER_LENGTH;
            return Err(AgentError::BadFrame(format!("{size} bytes are over the limit of {}", self.limit)));
        }
        if self.buffer.len() < 4 + length || self.wants().is_some() {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(4 + length);
        let is_large = length - HEADER_AFTER_LENGTH > SMALL;
        if is_large {
            // Its memory is freed with it: it is not for the frames behind it, for as long as a connection lives.
            self.buffer = BytesMut::from(&self.buffer[..]);
        }
        frame.advance(4);
        let kind = Kind::try_from(frame.get_u8())?;
        let codec = Codec::try_from(frame.get_u8())?;
        let head = usize::from(frame.get_u16_le());
        let epoch = Epoch(frame.get_u64_le());
        if head > frame.len() || (head > 0 && kind != Kind::Parcel) {
            return Err(AgentError::BadFrame(format!("a head of {head} bytes in a {kind:?}")));
        }
        let mut payload = frame.freeze();
        let head = payload.split_to(head);
        if codec == Codec::Text && std::str::from_utf8(&payload).is_err() {
            return Err(AgentError::BadFrame("text that is not UTF-8".into()));
        }
        if let Some(permit) = self.permit.take_if(|_| is_large) {
            payload = held(payload, permit);
        }
        Ok(Some(Frame { kind, codec, epoch, payload, head }))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(kind: Kind, codec: Codec, epoch: u64, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, kind, codec, Epoch(epoch), payload);
        out
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_the_payload_arrives() {
        let mut reader = FrameReader::new(10);
        let bytes = encoded(Kind::Calls, Codec::Bytes, 1, &[0; 11]);
        reader.space().extend_from_slice(&bytes[..4]);
        assert!(matches!(reader.next_frame(), Err(AgentError::BadFrame(_))));
        assert!(reader.buffer.capacity() < 2 * READ_CHUNK);
    }

    #[test]
    fn a_length_shorter_than_the_header_is_refused() {
        let mut reader = FrameReader::new(10);
        reader.space().extend_from_slice(&[3, 0, 0, 0]);
        assert!(matches!(reader.next_frame(), Err(AgentError::BadFrame(_))));
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        let mut reader = FrameReader::new(10);
        reader.space().extend_from_slice(&encoded(Kind::Calls, Codec::Text, 1, &[0xff, 0xfe]));
        assert!(matches!(reader.next_frame(), Err(AgentError::BadFrame(_))));
    }

    #[test]
    fn a_head_is_told_from_the_body_and_only_a_parcel_has_one() {
        let mut reader = FrameReader::new(100);
        let mut bytes = Vec::new();
        encode_parcel(&mut bytes, Codec::Bytes, Epoch(3), b"head", b"\xff body");
        reader.space().extend_from_slice(&bytes);
        let frame = reader.next_frame().unwrap().unwrap();
        assert_eq!((&frame.head[..], &frame.payload[..]), (&b"head"[..], &b"\xff body"[..]));
        for (at, byte) in [(4, Kind::Calls as u8), (6, 11)] {
            let mut broken = bytes.clone();
            broken[at] = byte;
            let mut reader = FrameReader::new(100);
            reader.space().extend_from_slice(&broken);
            assert!(matches!(reader.next_frame(), Err(AgentError::BadFrame(_))));
        }
    }

    #[test]
    fn an_announced_gigabyte_takes_little_memory_until_it_arrives() {
        let mut reader = FrameReader::new(1 << 30);
        let mut header = (1u32 << 30).to_le_bytes().to_vec();
        header.extend_from_slice(&[1, 1, 0, 0]);
        reader.space().extend_from_slice(&header);
        reader.space();
        assert!(reader.buffer.capacity() <= 4 * 1024 * 1024, "{}", reader.buffer.capacity());
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting_of_the_stream(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8),
            cuts in prop::collection::vec(1usize..97, 1..40),
        ) {
            let mut stream = Vec::new();
            for (index, payload) in payloads.iter().enumerate() {
                encode(&mut stream, Kind::Calls, Codec::Bytes, Epoch(index as u64), payload);
            }
            let mut reader = FrameReader::new(300);
            let mut seen = Vec::new();
            let mut rest = &stream[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                rest = later;
                reader.space().extend_from_slice(now);
                while let Some(frame) = reader.next_frame().unwrap() {
                    prop_assert_eq!(frame.epoch, Epoch(seen.len() as u64));
                    seen.push(frame.payload.to_vec());
                }
            }
            prop_assert_eq!(seen, payloads);
        }

        #[test]
        fn any_bytes_give_a_frame_or_an_error_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = FrameReader::new(64);
            reader.space().extend_from_slice(&bytes);
            while let Ok(Some(_)) = reader.next_frame() {}
        }
    }
}
