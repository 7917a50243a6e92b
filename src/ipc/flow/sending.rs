//! What goes out on a control lane, and in which order. No I/O: frames, grants and credit in, pieces to write out.
//!
//! 1. *Urgent*: words of flow control, and the beat. They pass everything, between any two pieces.
//! 2. *Small* frames, in the order in which they came, up to [`PIECE`] bytes at once. Counted ones wait for credit; those that
//!    are not counted (messages of the broker's, metrics) don't wait for them.
//! 3. One *chunk* of the large frame at the front, when that is granted. Large frames go one after the other, in the order in
//!    which they came.
//!
//! After each piece of small frames comes a chunk, and after each chunk come small frames, so that neither can hold up the
//! other. Frames of one [`Class`] never pass each other: a small one waits behind a large one of its class. Between classes
//! nothing is promised.
//!
//! A peer of protocol 3 gets no chunks and no words of flow control: a large frame goes whole, and everything waits for it.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes};

use super::budget::Permit;
use super::{GRANTS, SMALL, WINDOW};
use crate::error::Result;
use crate::ipc::frame::{self, Codec, Kind, HEADER_LEN};
use crate::ipc::message::Message;
use crate::ipc::parcel::{Body, Parcel};
use crate::role::Epoch;

/// How many bytes are written at once.
const PIECE: usize = SMALL;

/// Frames of one class keep their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// [`Message`]s.
    Message,
    /// Questions and answers about metrics: a schema comes before its snapshot.
    Metrics,
    /// What a member asks of all, and what was published: a broker counts the former, in order.
    Request,
    /// What a member is asked.
    Question,
    /// Answers, and the end of a gather behind them.
    Answer,
}

impl Class {
    /// Whether the receiver has to have room for a small frame of it: what it hands on to others, or to JavaScript.
    #[must_use]
    pub fn is_counted(self) -> bool {
        matches!(self, Self::Request | Self::Question | Self::Answer)
    }
}

/// A frame that is to go out. Clones share its bytes.
#[derive(Clone, Debug)]
pub struct Outgoing {
    class: Class,
    /// A member waits for the broker's word on it.
    is_request: bool,
    /// The header, and what stands before the body.
    start: Bytes,
    body: Bytes,
    /// The part of a budget that the body takes.
    _permit: Option<Permit>,
}

impl Outgoing {
    /// A message.
    #[must_use]
    pub fn message(message: &Message, epoch: Epoch) -> Self {
        let start = message.to_bytes(epoch).into();
        Self { class: Class::Message, is_request: false, start, body: Bytes::new(), _permit: None }
    }

    /// A parcel. `permit` is the part of a budget that its body takes.
    ///
    /// # Errors
    /// As [`Parcel::to_bytes`].
    pub fn parcel(parcel: &Parcel, epoch: Epoch, body: &Body, permit: Option<&Permit>) -> Result<Self> {
        let (class, is_request) = (parcel.class(), parcel.is_request());
        // A small one is copied, so that what it came in is free; a large one is shared by all that it goes to.
        if body.bytes.len() <= SMALL {
            let start = parcel.to_bytes(epoch, body)?;
            return Ok(Self { class, is_request, start, body: Bytes::new(), _permit: None });
        }
        let start = parcel.start(epoch, body)?.into();
        Ok(Self { class, is_request, start, body: body.bytes.clone(), _permit: permit.cloned() })
    }

    /// Its bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.start.len() + self.body.len()
    }

    fn is_large(&self) -> bool {
        self.payload() > SMALL
    }

    fn payload(&self) -> usize {
        self.len().saturating_sub(HEADER_LEN)
    }

    /// Appends its bytes from `from` on, `count` at the most.
    fn put(&self, into: &mut Vec<u8>, from: usize, count: usize) {
        let rest = self.start.get(from..).unwrap_or_default();
        let rest = &rest[..rest.len().min(count)];
        into.put_slice(rest);
        let at = (from + rest.len()).saturating_sub(self.start.len());
        let body = self.body.get(at..).unwrap_or_default();
        into.put_slice(&body[..body.len().min(count - rest.len())]);
    }
}

/// Bytes that are to be written, whole and before any other.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many requests are out with it.
    pub requests: u64,
    /// How many parcels about metrics are.
    pub metrics: usize,
    /// There is more in it than words of flow control and a beat.
    pub is_load: bool,
}

/// See the module. One for each connection.
#[derive(Debug)]
pub struct SendQueue {
    epoch: Epoch,
    /// The peer grants and credits.
    grants: bool,
    urgent: VecDeque<Bytes>,
    beat: Option<Bytes>,
    free: VecDeque<Outgoing>,
    counted: VecDeque<Outgoing>,
    /// How many bytes of counted frames the receiver has room for.
    window: usize,
    large: VecDeque<Large>,
    /// How many of them are granted, from the front.
    granted: usize,
    /// The next one is announced.
    announced: bool,
    /// Bytes that were put in and not taken out, but for urgent ones.
    waiting: usize,
    /// Those of small frames among them.
    small: usize,
    /// How many frames they are.
    frames: usize,
    /// The last piece had small frames.
    chunk_is_next: bool,
}

#[derive(Debug)]
struct Large {
    frame: Outgoing,
    sent: usize,
    /// Small frames of its class that came after it.
    behind: Vec<Outgoing>,
}

impl SendQueue {
    /// For a peer with which that protocol is spoken, in the tenure `epoch`.
    #[must_use]
    pub fn new(protocol: u32, epoch: Epoch) -> Self {
        let grants = protocol >= GRANTS;
        Self {
            epoch,
            grants,
            urgent: VecDeque::new(),
            beat: None,
            free: VecDeque::new(),
            counted: VecDeque::new(),
            window: if grants { WINDOW } else { usize::MAX },
            large: VecDeque::new(),
            granted: 0,
            announced: false,
            waiting: 0,
            small: 0,
            frames: 0,
            chunk_is_next: false,
        }
    }

    /// Puts a frame in.
    pub fn push(&mut self, frame: Outgoing) {
        self.waiting += frame.len();
        self.frames += 1;
        self.small += if frame.is_large() { 0 } else { frame.len() };
        if frame.is_large() {
            self.large.push_back(Large { frame, sent: 0, behind: Vec::new() });
            self.announce();
        } else if let Some(large) = self.large.iter_mut().rfind(|large| large.frame.class == frame.class) {
            large.behind.push(frame);
        } else {
            self.push_small(frame);
        }
    }

    /// Puts a word of flow control in. A peer of an older protocol is told none.
    pub fn push_urgent(&mut self, message: &Message) {
        if self.grants {
            self.urgent.push_back(message.to_bytes(self.epoch).into());
        }
    }

    /// Puts a beat in, in place of one that waits still.
    pub fn push_beat(&mut self, message: &Message) {
        self.beat = Some(message.to_bytes(self.epoch).into());
    }

    /// The receiver has granted what was announced.
    ///
    /// # Errors
    /// When nothing was.
    pub fn grant(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.announced) {
            return Err(crate::error::AgentError::BadFrame("a grant that nobody waits for".into()));
        }
        self.granted += 1;
        self.announce();
        Ok(())
    }

    /// The receiver has room for so many bytes more.
    pub fn credit(&mut self, bytes: usize) {
        self.window = self.window.saturating_add(bytes).min(if self.grants { WINDOW } else { usize::MAX });
    }

    /// Bytes that wait, but for urgent ones.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Bytes of small frames that wait, but for urgent ones.
    #[must_use]
    pub fn waiting_small(&self) -> usize {
        self.small
    }

    /// Frames that wait, but for urgent ones.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Whether a large frame waits, or is under way.
    #[must_use]
    pub fn has_large(&self) -> bool {
        !self.large.is_empty()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames == 0 && self.urgent.is_empty() && self.beat.is_none()
    }

    /// What is to be written now.
    pub fn next_piece(&mut self) -> Option<Piece> {
        let is_cut = !self.grants && self.large.front().is_some_and(|large| large.sent > 0);
        let has_urgent = !self.urgent.is_empty() || self.beat.is_some();
        if has_urgent && !is_cut {
            let mut piece = Piece::default();
            for bytes in self.urgent.drain(..).chain(self.beat.take()) {
                piece.bytes.extend_from_slice(&bytes);
            }
            return Some(piece);
        }
        let has_chunk = self.granted > 0 || (!self.grants && !self.large.is_empty());
        let has_small = !self.free.is_empty() || self.has_credit();
        if has_small && !is_cut && !(has_chunk && self.chunk_is_next) {
            self.chunk_is_next = true;
            return Some(self.small());
        }
        self.chunk_is_next = false;
        if has_chunk {
            return Some(self.chunk());
        }
        None
    }

    fn small(&mut self) -> Piece {
        let mut piece = Piece { is_load: true, ..Piece::default() };
        while piece.bytes.len() < PIECE {
            let frame = if let Some(frame) = self.free.pop_front() {
                frame
            } else if self.has_credit() {
                let Some(frame) = self.counted.pop_front() else { break };
                if self.grants {
                    self.window -= frame.len();
                }
                frame
            } else {
                break;
            };
            frame.put(&mut piece.bytes, 0, frame.len());
            self.took(&frame, &mut piece, frame.len());
        }
        piece
    }

    fn chunk(&mut self) -> Piece {
        let mut piece = Piece { is_load: true, ..Piece::default() };
        let Some(large) = self.large.front_mut() else { return piece };
        let whole = large.frame.len();
        let count = (whole - large.sent).min(PIECE);
        if self.grants {
            piece.bytes.reserve_exact(HEADER_LEN + count);
            piece.bytes.put_slice(&frame::header(Kind::Chunk, Codec::Bytes, self.epoch, 0, count));
        }
        large.frame.put(&mut piece.bytes, large.sent, count);
        large.sent += count;
        if large.sent < whole {
            self.waiting -= count;
            return piece;
        }
        if let Some(Large { frame, behind, .. }) = self.large.pop_front() {
            self.granted = self.granted.saturating_sub(1);
            self.took(&frame, &mut piece, count);
            for small in behind {
                self.push_small(small);
            }
        }
        piece
    }

    fn took(&mut self, frame: &Outgoing, piece: &mut Piece, bytes: usize) {
        self.waiting -= bytes;
        self.frames -= 1;
        self.small -= if frame.is_large() { 0 } else { frame.len() };
        piece.requests += u64::from(frame.is_request);
        piece.metrics += usize::from(frame.class == Class::Metrics);
    }

    fn push_small(&mut self, frame: Outgoing) {
        if frame.class.is_counted() {
            self.counted.push_back(frame);
        } else {
            self.free.push_back(frame);
        }
    }

    fn has_credit(&self) -> bool {
        self.counted.front().is_some_and(|frame| frame.len() <= self.window)
    }

    /// Announces the first large frame that is not granted, if none is announced.
    fn announce(&mut self) {
        if !self.grants || self.announced {
            return;
        }
        if let Some(next) = self.large.get(self.granted) {
            let bytes = u32::try_from(next.frame.payload()).unwrap_or(u32::MAX);
            self.announced = true;
            self.push_urgent(&Message::Announce { bytes, lane: false });
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::ipc::flow::assembly::{Assembled, Assembly};
    use crate::ipc::flow::budget::ReceiveBudget;
    use crate::ipc::frame::{Frame, FrameReader};
    use crate::ipc::parcel::GatherId;
    use proptest::prelude::*;

    const EPOCH: Epoch = Epoch(7);

    /// Parcels of all classes but messages, by number.
    fn parcel(class: u8, number: u32) -> Parcel {
        match class % 4 {
            0 => Parcel::Published { request: number },
            1 => Parcel::Answer { gather: GatherId(u64::from(number)), status: 0 },
            2 => Parcel::Scrape {
                request: number,
                timeout_ms: 0,
                open_metrics: false,
                members_apart: false,
                max_quantiles: false,
                tells: false,
                slots: false,
            },
            _ => Parcel::Publish { request: number, topic: "t".into() },
        }
    }

    fn number(parcel: &Parcel) -> u64 {
        match parcel {
            Parcel::Answer { gather, .. } => gather.0,
            Parcel::Published { request }
            | Parcel::Scrape { request, .. }
            | Parcel::Publish { request, .. } => u64::from(*request),
            _ => unreachable!("none of those"),
        }
    }

    /// The other end of a queue.
    struct Receiver {
        reader: FrameReader,
        assembly: Assembly,
        budget: ReceiveBudget,
        announced: bool,
        /// Bytes of counted frames, and of those that were credited.
        counted: usize,
        seen: Vec<(Class, u64, usize)>,
        beats: usize,
    }

    impl Receiver {
        fn new() -> Self {
            Self {
                reader: FrameReader::new(SMALL),
                assembly: Assembly::new(1 << 24),
                budget: ReceiveBudget::new(1 << 20),
                announced: false,
                counted: 0,
                seen: Vec::new(),
                beats: 0,
            }
        }

        fn read(&mut self, bytes: &[u8]) {
            self.reader.space().extend_from_slice(bytes);
            while let Some(frame) = self.reader.next_frame().unwrap() {
                match frame.kind {
                    Kind::Chunk => {
                        if let Some(Assembled { frame, .. }) = self.assembly.add(&frame.payload).unwrap() {
                            self.see(frame);
                        }
                    }
                    Kind::Control => match Message::from_frame(&frame).unwrap() {
                        Message::Announce { bytes, lane: false } => {
                            self.assembly.announce(bytes as usize).unwrap();
                            self.announced = true;
                        }
                        Message::Beat { .. } => self.beats += 1,
                        other => panic!("{other:?}"),
                    },
                    _ => {
                        let size = HEADER_LEN + frame.head.len() + frame.payload.len();
                        let (parcel, _) = Parcel::from_frame(frame.clone()).unwrap();
                        self.counted += if parcel.class().is_counted() { size } else { 0 };
                        assert!(self.counted <= WINDOW);
                        self.see(frame);
                    }
                }
            }
        }

        fn see(&mut self, frame: Frame) {
            let (parcel, body) = Parcel::from_frame(frame).unwrap();
            self.seen.push((parcel.class(), number(&parcel), body.bytes.len()));
        }

        fn grant(&mut self, queue: &mut SendQueue) {
            if std::mem::take(&mut self.announced) {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                self.assembly.grant(runtime.block_on(self.budget.take(1)));
                queue.grant().unwrap();
            }
        }
    }

    fn beat() -> Message {
        Message::Beat { lag_ms: 0, is_stuck: false, dead: Vec::new() }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(u8, usize),
        Write,
        Beat,
        Grant,
        Credit,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let sizes = prop_oneof![0usize..200, Just(SMALL), SMALL - 100..SMALL + 100, SMALL..4 * SMALL];
        let step = prop_oneof![
            3 => (0u8..4, sizes).prop_map(|(class, size)| Step::Push(class, size)),
            4 => Just(Step::Write),
            1 => Just(Step::Beat),
            1 => Just(Step::Grant),
            1 => Just(Step::Credit),
        ];
        prop::collection::vec(step, 1..80)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn all_arrives_whole_in_the_order_of_its_class_and_a_beat_goes_with_the_next_piece(steps in steps()) {
            let mut queue = SendQueue::new(GRANTS, EPOCH);
            let mut receiver = Receiver::new();
            let (mut pushed, mut requests, mut published) = (Vec::new(), 0, 0);
            let mut number = 0;
            for step in steps {
                match step {
                    Step::Push(class, size) => {
                        number += 1;
                        let parcel = parcel(class, number);
                        let body = Body { codec: Codec::Bytes, bytes: vec![class; size].into() };
                        pushed.push((parcel.class(), u64::from(number), size));
                        published += u64::from(parcel.is_request());
                        queue.push(Outgoing::parcel(&parcel, EPOCH, &body, None).unwrap());
                    }
                    Step::Write => if let Some(piece) = queue.next_piece() {
                        prop_assert!(piece.bytes.len() <= 2 * (HEADER_LEN + SMALL), "{}", piece.bytes.len());
                        requests += piece.requests;
                        receiver.read(&piece.bytes);
                    },
                    Step::Beat => {
                        queue.push_beat(&beat());
                        let before = receiver.beats;
                        receiver.read(&queue.next_piece().unwrap().bytes);
                        prop_assert_eq!(receiver.beats, before + 1);
                    }
                    Step::Grant => receiver.grant(&mut queue),
                    Step::Credit => queue.credit(std::mem::take(&mut receiver.counted)),
                }
            }
            // What was not granted or credited is, in the end.
            loop {
                receiver.grant(&mut queue);
                queue.credit(std::mem::take(&mut receiver.counted));
                let Some(piece) = queue.next_piece() else { break };
                requests += piece.requests;
                receiver.read(&piece.bytes);
            }
            prop_assert!(queue.is_empty() && queue.waiting() + queue.waiting_small() == 0 && !queue.has_large());
            for class in [Class::Metrics, Class::Request, Class::Answer] {
                let of = |all: &[(Class, u64, usize)]| -> Vec<_> {
                    all.iter().filter(|(of, ..)| *of == class).copied().collect()
                };
                prop_assert_eq!(of(&receiver.seen), of(&pushed));
            }
            prop_assert_eq!(requests, published);
        }

        #[test]
        fn an_older_peer_gets_whole_frames_and_nothing_between_their_parts(
            sizes in prop::collection::vec((0u8..4, 0usize..3 * SMALL), 1..20),
        ) {
            let mut queue = SendQueue::new(GRANTS - 1, EPOCH);
            let mut reader = FrameReader::new(1 << 24);
            let mut seen = 0;
            for (number, (class, size)) in (1..).zip(&sizes) {
                let body = Body { codec: Codec::Bytes, bytes: vec![*class; *size].into() };
                queue.push(Outgoing::parcel(&parcel(*class, number), EPOCH, &body, None).unwrap());
            }
            for turn in 0.. {
                let Some(piece) = queue.next_piece() else { break };
                reader.space().extend_from_slice(&piece.bytes);
                if turn % 3 == 0 {
                    queue.push_beat(&beat());
                }
                while let Some(frame) = reader.next_frame().unwrap() {
                    seen += usize::from(frame.kind == Kind::Parcel);
                }
            }
            prop_assert_eq!(seen, sizes.len());
        }
    }

    #[test]
    fn an_announcement_waits_until_the_one_before_it_is_granted() {
        let mut queue = SendQueue::new(GRANTS, EPOCH);
        for number in 1..=2 {
            let body = Body { codec: Codec::Bytes, bytes: vec![0; 2 * SMALL].into() };
            queue.push(Outgoing::parcel(&parcel(0, number), EPOCH, &body, None).unwrap());
        }
        let announcement = queue.next_piece().unwrap().bytes;
        assert_eq!(queue.next_piece(), None);
        queue.grant().unwrap();
        assert_eq!(queue.next_piece().unwrap().bytes, announcement);
        assert!(queue.next_piece().unwrap().is_load);
        queue.grant().unwrap();
        assert!(queue.grant().is_err());
    }
}
