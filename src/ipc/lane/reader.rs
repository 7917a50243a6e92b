//! A lane that the event loop reads: the socket in, frames out, without waiting.
//!
//! The event loop polls [`LaneReader::as_fd`], reads what is there with [`LaneReader::fill`], and takes the frames one by
//! one. The agent's thread writes what does not go out at once, and waits for the end. Whatever ends the lane, it can be
//! read on as long as there is something in its socket: a peer that dies leaves its replies there.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use bytes::BufMut;
use rustix::net::RecvFlags;

use super::express::Express;
use super::Lane;
use crate::error::{AgentError, Result};
use crate::ipc::direct::Direct;
use crate::ipc::flow::budget::{Permit, ReceiveBudget};
use crate::ipc::flow::SMALL;
use crate::ipc::frame::{Frame, FrameReader, Kind};

/// What came of a look into the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Something has arrived.
    Some,
    /// Nothing, for now.
    Nothing,
    /// The lane has ended: nothing more is to come.
    End,
}

/// See the module. One for each lane.
#[derive(Debug)]
pub struct LaneReader {
    pub(super) lane: Arc<Lane>,
    pub(super) direct: Arc<Direct>,
    pub(super) frames: FrameReader,
    ended: bool,
    pub(super) express: Express,
}

impl LaneReader {
    /// The reader of a lane; `None` when it has one already, or is read by a thread. `waits_awake` tells whether it may share
    /// memory with the other end, which pays only then.
    #[must_use]
    pub fn new(lane: Arc<Lane>, waits_awake: bool) -> Option<Self> {
        let direct = Arc::clone(lane.direct.as_ref()?);
        let frames = lane.state().unread.take()?;
        let express = Express::new(&lane, waits_awake);
        Some(Self { lane, direct, frames, ended: false, express })
    }

    /// The lane.
    #[must_use]
    pub fn lane(&self) -> &Arc<Lane> {
        &self.lane
    }

    /// Reads once, without waiting.
    pub fn fill(&mut self) -> Fill {
        if self.ended {
            return Fill::End;
        }
        match self.receive() {
            Ok(0) => self.stop(Ok(())),
            Ok(_) => {
                self.lane.control.signs.note_calls();
                Fill::Some
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Fill::Nothing,
            Err(error) => self.stop(Err(AgentError::Io(error.into()))),
        }
    }

    fn receive(&mut self) -> rustix::io::Result<usize> {
        if let Some(count) = self.receive_memory() {
            return count;
        }
        let space = self.frames.space();
        let (read, _) = rustix::net::recv(&self.direct, space.spare_capacity_mut(), RecvFlags::DONTWAIT)?;
        let count = read.0.len();
        // SAFETY: the operating system has just written so many bytes at the beginning of the spare capacity.
        #[expect(unsafe_code, reason = "the buffer would have to be zeroed first, at each read")]
        unsafe {
            space.advance_mut(count);
        }
        Ok(count)
    }

    /// The next frame that is JavaScript's, of what was read. It counts as accepted.
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            let frame = match self.next_in_order() {
                Ok(Some(frame)) => frame,
                Ok(None) => return None,
                Err(error) => {
                    self.end(Err(error));
                    return None;
                }
            };
            let about_memory = frame.kind == Kind::Ring;
            match self.lane.understand(frame) {
                Ok(Some(frame)) if self.lane.count_accepted(&frame) => return Some(frame),
                Ok(_) if about_memory => self.heed_ring(),
                // Behind the last word nothing is accepted.
                Ok(_) => {}
                Err(error) => {
                    self.end(Err(error));
                }
            }
        }
    }

    /// Whether no more is to be read for now, because the other end doesn't read, or sends more than there is room for: it goes on when the inbox says that
    /// there is room again.
    #[must_use]
    pub fn pause(&self) -> bool {
        let mut state = self.lane.state();
        state.paused = state.is_to_pause(self.lane.calls_us);
        state.paused
    }

    /// The next frame of the socket's, if it has arrived and there is room for it.
    pub(super) fn next_of_socket(&mut self) -> Result<Option<Frame>> {
        if let Some(length) = self.frames.wants() {
            match self.lane.admit(length)? {
                Some(permit) => self.frames.grant(permit),
                None => return Ok(None),
            }
        }
        let frame = self.frames.next_frame()?;
        if frame.as_ref().is_some_and(|frame| frame.payload.len() > SMALL) {
            self.lane.control.signs.calls_settled();
        }
        Ok(frame)
    }

    /// The lane has ended: what is left in the socket is read without more room for it. An end that announces nothing has
    /// no more there than the socket holds.
    pub fn read_out(&mut self) {
        if !self.lane.grants {
            self.frames.set_gate(usize::MAX);
        }
    }

    /// The lane ends because of what it brought: nothing more of that is given out.
    pub fn end(&mut self, how: Result<()>) -> Fill {
        self.frames = FrameReader::new(0);
        self.express = Express::new(&self.lane, false);
        self.stop(how)
    }

    /// Nothing more arrives. What has arrived is still to be given out.
    fn stop(&mut self, how: Result<()>) -> Fill {
        self.ended = true;
        self.lane.end(how);
        Fill::End
    }
}

impl AsFd for LaneReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.direct.as_fd()
    }
}

impl Lane {
    /// The permit of a large frame that has begun to arrive; `None` when it has to wait for one, because the other end has not
    /// announced it: then [`Self::wait_for_room`] asks for it.
    fn admit(&self, length: usize) -> Result<Option<Permit>> {
        let permit = self.control.signs.take_granted(length);
        if permit.is_ok() || self.grants {
            return permit.map(Some);
        }
        self.state().asks.get_or_insert(length);
        self.asked.notify_one();
        Ok(None)
    }

    /// Waits for the room that [`Self::admit`] has asked for, again and again.
    pub(super) async fn wait_for_room(&self, budget: &ReceiveBudget) {
        loop {
            self.asked.notified().await;
            let Some(length) = self.state().asks else { continue };
            self.control.signs.grant_calls(length, budget.take(length).await);
            let mut state = self.state();
            state.asks = None;
            self.go_on(state);
        }
    }
}
