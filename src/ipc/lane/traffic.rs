//! How much goes over the lanes of an agent.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ipc::frame::HEADER_LEN;

/// Bytes of the frames on all lanes of an agent, since it started.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Of those that JavaScript was told.
    received: AtomicU64,
    /// Of those that it has given.
    sent: AtomicU64,
}

impl Traffic {
    pub(super) fn count_in(&self, payload: usize) {
        self.received.fetch_add(whole(payload), Ordering::Relaxed);
    }

    pub(super) fn count_out(&self, payload: usize) {
        self.sent.fetch_add(whole(payload), Ordering::Relaxed);
    }

    /// Bytes that came in, and that went out.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed))
    }
}

/// The bytes of a frame with a payload of that size.
fn whole(payload: usize) -> u64 {
    (HEADER_LEN + payload) as u64
}
