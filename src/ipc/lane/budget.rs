//! How much lanes may hold.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes the lanes of an agent may hold for ends that don't read.
#[derive(Debug)]
pub struct Budget {
    most: usize,
    held: AtomicUsize,
}

impl Budget {
    /// A budget of `most` bytes for all lanes together, and of half of it for each.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, held: AtomicUsize::new(0) }
    }

    /// How many bytes may be held for all ends together.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    pub(super) fn has_room(&self, unwritten: usize, more: usize) -> bool {
        // What is larger by itself passes alone: its own size has a limit of its own.
        unwritten == 0
            || (unwritten + more <= self.most / 2 && self.held.load(Ordering::Relaxed) + more <= self.most)
    }

    pub(super) fn hold(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}
