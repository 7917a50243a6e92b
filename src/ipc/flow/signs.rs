//! What one end of a member's two connections shows of the other end, and what the other end owes it. Shared by the tasks of
//! both lanes, and by the event loop that reads the call lane.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::budget::Permit;
use crate::error::{AgentError, Result};

/// See the module.
#[derive(Debug, Default)]
pub struct Signs {
    /// How often bytes came on the control lane, and on the call lane: each is a sign of life, whatever they are part of.
    control: AtomicU64,
    calls: AtomicU64,
    /// How many bytes of granted frames came on the control lane.
    chunks: AtomicU64,
    /// How many granted frames of the control lane have not arrived whole.
    owed: AtomicUsize,
    /// The same of the call lane.
    owed_calls: AtomicUsize,
    /// What is granted to the call lane and has not begun to arrive: lengths, with their permits.
    granted: Mutex<VecDeque<(usize, Permit)>>,
}

impl Signs {
    /// Bytes came on the control lane.
    pub fn note_control(&self) {
        self.control.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes came on the call lane.
    pub fn note_calls(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes of a granted frame came on the control lane.
    pub(in crate::ipc) fn note_chunk(&self, bytes: usize) {
        self.chunks.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A number that changes when any byte comes.
    #[must_use]
    pub fn of_life(&self) -> u64 {
        self.control.load(Ordering::Relaxed).wrapping_add(self.calls.load(Ordering::Relaxed))
    }

    /// Whether granted bytes are to come on the control lane, and a number that changes when they do.
    #[must_use]
    pub fn owed(&self) -> (bool, u64) {
        (self.owed.load(Ordering::Relaxed) > 0, self.chunks.load(Ordering::Relaxed))
    }

    /// The same for the call lane.
    #[must_use]
    pub fn owed_calls(&self) -> (bool, u64) {
        (self.owed_calls.load(Ordering::Relaxed) > 0, self.calls.load(Ordering::Relaxed))
    }

    pub(super) fn owe(&self) {
        self.owed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn settle(&self) {
        self.owed.fetch_sub(1, Ordering::Relaxed);
    }

    /// The call lane may bring a frame with a payload of that length.
    pub fn grant_calls(&self, length: usize, permit: Permit) {
        self.owed_calls.fetch_add(1, Ordering::Relaxed);
        self.granted().push_back((length, permit));
    }

    /// The permit of a frame that has begun to arrive on the call lane.
    ///
    /// # Errors
    /// [`AgentError::BadFrame`] when it was not granted, or with another length.
    pub fn take_granted(&self, length: usize) -> Result<Permit> {
        match self.granted().pop_front() {
            Some((granted, permit)) if granted == length => Ok(permit),
            Some((granted, _)) => {
                Err(AgentError::BadFrame(format!("{length} bytes where {granted} were announced")))
            }
            None => Err(AgentError::BadFrame(format!("{length} bytes that were not granted"))),
        }
    }

    /// A granted frame of the call lane has arrived whole.
    pub fn calls_settled(&self) {
        self.owed_calls.fetch_sub(1, Ordering::Relaxed);
    }

    fn granted(&self) -> MutexGuard<'_, VecDeque<(usize, Permit)>> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
