//! Frames that pass by the socket, through memory that both ends share, while the other end is awake anyway ([`super::ring`]).
//!
//! Each has its number on the lane, so that the order of a lane's frames holds whichever way they take: before a frame of
//! the socket's is given out, so are those in the ring that were sent before it. The memory is asked for and handed over on
//! the socket, after the handshake, by [`Kind::Ring`]; the same kind wakes an end that went to sleep too soon.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::memory::{self, Memory};
use super::reader::LaneReader;
use super::ring::{Corrupt, Pushed, Reader, Ring, Writer};
use super::{Lane, Phase, State};
use crate::error::{AgentError, Result};
use crate::ipc::frame::{self, Codec, Frame, Kind, HEADER_LEN};

/// The largest payload that goes this way: larger ones would fill the ring, and gain nothing by it.
const LARGEST: usize = 4096;
/// So many times something is received until the memory that was asked for has come, or never will.
const AWAITED: u32 = 64;

/// Which of the two rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    /// To the primary.
    Calls,
    /// From it.
    Replies,
}

impl Direction {
    /// What this end reads, when it is called by the other one or not.
    fn inward(calls_us: bool) -> Self {
        if calls_us {
            Self::Calls
        } else {
            Self::Replies
        }
    }

    fn of(self, memory: &Memory) -> Ring<'_> {
        match self {
            Self::Calls => memory.calls(),
            Self::Replies => memory.replies(),
        }
    }
}

/// Where frames go out.
#[derive(Debug)]
pub(super) struct Outlet {
    memory: Arc<Memory>,
    direction: Direction,
    writer: Writer,
}

impl Outlet {
    /// The end of `memory` that writes.
    pub(super) fn new(memory: Arc<Memory>, calls_us: bool) -> Self {
        Self { memory, direction: Direction::inward(!calls_us), writer: Writer::default() }
    }

    /// Sends the frame of that number this way, if the other end is awake and there is room.
    pub(super) fn push(&mut self, number: u64, header: [u8; HEADER_LEN], payload: &[u8]) -> Pushed {
        self.writer.push(self.direction.of(&self.memory), number, header, payload)
    }

    /// Takes back what the other end has not taken, of the frames that went this way: the number of the first one.
    pub(super) fn revoke(&self) -> Option<u64> {
        self.writer.revoke(self.direction.of(&self.memory))
    }
}

/// Where frames come in.
#[derive(Debug)]
pub(super) struct Inlet {
    memory: Arc<Memory>,
    direction: Direction,
    reader: Reader,
}

impl Inlet {
    /// The end of `memory` that reads.
    pub(super) fn new(memory: Arc<Memory>, calls_us: bool) -> Self {
        Self { memory, direction: Direction::inward(calls_us), reader: Reader::default() }
    }

    /// Whether the frame of that number is there.
    pub(super) fn has(&self, number: u64) -> bool {
        self.reader.has(self.ring(), number)
    }

    /// Looks at what is there now.
    pub(super) fn look(&mut self) -> Result<()> {
        self.reader.look(self.direction.of(&self.memory)).map_err(corrupt)
    }

    /// The frame of that number, if it was there at the last look.
    pub(super) fn take(&mut self, number: u64) -> Result<Option<Frame>> {
        let bytes = self.reader.take(self.direction.of(&self.memory), number).map_err(corrupt)?;
        bytes.map(|bytes| frame::whole(bytes, LARGEST)).transpose()
    }

    /// The other end may send this way: this one looks before it sleeps.
    pub(super) fn wake(&self) {
        Reader::wake(self.ring());
    }

    /// This end sleeps; `true` when it must not, because the frame of that number has come.
    pub(super) fn sleep(&self, number: u64) -> bool {
        self.reader.sleep(self.ring(), number)
    }

    fn ring(&self) -> Ring<'_> {
        self.direction.of(&self.memory)
    }
}

fn corrupt(_: Corrupt) -> AgentError {
    AgentError::BadFrame("memory that no member writes so".into())
}

/// What the reader of a lane has of the memory.
#[derive(Debug)]
pub(super) struct Express {
    /// Memory may be asked for, and handed over.
    may_share: bool,
    /// It was asked for, or it is for the other end to ask.
    asked: bool,
    /// How many more times what is received may bring it: somebody who has none does not say so.
    awaiting: u32,
    /// What has come with an answer that is not read to its end.
    file: Option<OwnedFd>,
    inlet: Option<Inlet>,
    /// How many frames were given out: the number of the last one.
    taken: u64,
}

impl Express {
    /// `may_share` tells whether this end waits awake.
    pub(super) fn new(lane: &Lane, may_share: bool) -> Self {
        Self { may_share, asked: lane.calls_us, awaiting: 0, file: None, inlet: None, taken: 0 }
    }
}

impl LaneReader {
    /// The next frame, whichever way it has come: those of the ring have their numbers, and those of the socket the ones
    /// between.
    pub(super) fn next_in_order(&mut self) -> Result<Option<Frame>> {
        let next = self.express.taken + 1;
        let frame = match &mut self.express.inlet {
            Some(inlet) => inlet.take(next)?,
            None => None,
        };
        let frame = match frame {
            Some(frame) if !frame.kind.is_of_calls() => return Err(corrupt(Corrupt)),
            None => self.next_of_socket()?,
            some => some,
        };
        // Words about the memory itself are no frames of the lane's.
        self.express.taken += u64::from(frame.as_ref().is_some_and(|frame| frame.kind != Kind::Ring));
        Ok(frame)
    }

    /// Receives in a way that a descriptor can come with it, while one is awaited; `None` when none is.
    pub(super) fn receive_memory(&mut self) -> Option<rustix::io::Result<usize>> {
        if self.express.awaiting == 0 {
            return None;
        }
        self.express.awaiting -= 1;
        let mut bytes = [0; 16 * 1024];
        Some(memory::receive_with(&self.direct, &mut bytes).map(|(count, file)| {
            self.frames.space().extend_from_slice(&bytes[..count]);
            self.express.file = file.or(self.express.file.take());
            count
        }))
    }

    /// The other end has asked for memory, or has handed it over, or wants us to look there.
    pub(super) fn heed_ring(&mut self) {
        let express = &mut self.express;
        if !express.may_share || express.inlet.is_some() {
            return;
        }
        express.awaiting = 0;
        express.inlet = match express.file.take() {
            Some(file) => self.lane.take_memory(&file),
            None if self.lane.calls_us => self.lane.hand_over_memory(),
            None => None,
        };
    }

    /// This end looks here before it sleeps: the other one may send frames through shared memory, if there is some.
    pub fn wake(&mut self) {
        match &self.express.inlet {
            Some(inlet) => inlet.wake(),
            None if self.express.may_share && !self.express.asked => {
                self.express.asked = self.lane.ask_for_memory();
                self.express.awaiting = if self.express.asked { AWAITED } else { 0 };
            }
            None => {}
        }
    }

    /// This end sleeps; `true` when it must not, because the next frame has come through shared memory.
    #[must_use]
    pub fn sleep(&self) -> bool {
        let next = self.express.taken + 1;
        self.express.inlet.as_ref().is_some_and(|inlet| inlet.sleep(next))
    }

    /// Whether it has shared memory, into which it can look at no cost.
    #[must_use]
    pub fn has_memory(&self) -> bool {
        self.express.inlet.is_some()
    }

    /// Whether the next frame is in shared memory. One behind it does not count: that the next one is on the socket is told
    /// by an event.
    #[must_use]
    pub fn has_next(&self) -> bool {
        let next = self.express.taken + 1;
        self.express.inlet.as_ref().is_some_and(|inlet| inlet.has(next))
    }

    /// Looks into shared memory: [`Self::next_frame`] gives out what is there now.
    pub fn look(&mut self) {
        if let Some(Err(error)) = self.express.inlet.as_mut().map(Inlet::look) {
            self.end(Err(error));
        }
    }
}

impl Lane {
    /// Sends a frame the short way, if it is small, the other end is awake, and nothing waits for the socket.
    pub(super) fn goes_by_express(
        &self,
        state: &mut State,
        header: [u8; HEADER_LEN],
        payload: &[u8],
    ) -> bool {
        if payload.len() > LARGEST || state.phase != Phase::Open || !state.is_written_out() {
            return false;
        }
        let Some(express) = &mut state.express else { return false };
        let pushed = express.push(state.sent, header, payload);
        if pushed == Pushed::Unseen {
            // If the socket is full, the other end has something to read there, and looks here as well.
            self.write_now(&self.word(), &[]);
        }
        pushed != Pushed::No
    }

    /// Asks the primary for memory; `false` when this is not the time.
    pub(super) fn ask_for_memory(&self) -> bool {
        let state = self.state();
        let may = state.phase == Phase::Open && state.is_written_out();
        // So few bytes are taken at once, or not at all.
        may && self.write_now(&self.word(), &[]) == HEADER_LEN
    }

    /// The other end asks for memory, and gets it: once.
    pub(super) fn hand_over_memory(&self) -> Option<Inlet> {
        let mut state = self.state();
        if state.express.is_some() || state.phase != Phase::Open || !state.is_written_out() {
            return None;
        }
        let (memory, file) = Memory::create().ok()?;
        let handed_over = memory::send_with(self.direct.as_ref()?, &self.word(), &file);
        handed_over.then(|| self.share(&mut state, memory))
    }

    /// The primary has handed over memory, which was asked for.
    pub(super) fn take_memory(&self, file: &OwnedFd) -> Option<Inlet> {
        let mut state = self.state();
        let may = state.express.is_none() && state.phase == Phase::Open;
        may.then(|| Memory::open(file).ok()).flatten().map(|memory| self.share(&mut state, memory))
    }

    fn share(&self, state: &mut State, memory: Memory) -> Inlet {
        let memory = Arc::new(memory);
        state.express = Some(Outlet::new(Arc::clone(&memory), self.calls_us));
        Inlet::new(memory, self.calls_us)
    }

    fn word(&self) -> [u8; HEADER_LEN] {
        frame::header(Kind::Ring, Codec::Bytes, self.epoch, 0, 0)
    }
}
