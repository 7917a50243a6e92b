//! In place of `express.rs` where processes share no memory: all frames go over the socket.

use super::reader::LaneReader;
use super::Lane;
use crate::error::Result;
use crate::ipc::frame::Frame;

/// Nothing.
#[derive(Debug)]
pub(super) struct Express;

impl Express {
    pub(super) fn new(_lane: &Lane, _may_share: bool) -> Self {
        Self
    }
}

#[expect(clippy::unused_self, reason = "as on Linux")]
impl LaneReader {
    pub(super) fn next_in_order(&mut self) -> Result<Option<Frame>> {
        self.next_of_socket()
    }

    pub(super) fn receive_memory(&mut self) -> Option<rustix::io::Result<usize>> {
        None
    }

    pub(super) fn heed_ring(&mut self) {}

    /// Nothing is shared.
    pub fn wake(&mut self) {}

    /// It may.
    #[must_use]
    pub fn sleep(&self) -> bool {
        false
    }

    /// None.
    #[must_use]
    pub fn has_memory(&self) -> bool {
        false
    }

    /// Nothing is shared.
    #[must_use]
    pub fn has_next(&self) -> bool {
        false
    }

    /// Nothing is shared.
    pub fn look(&mut self) {}
}
