//! What a follower says to its primary, from two threads: its Rust thread has most of it, and the JavaScript thread
//! says what must not wait for another thread to be woken: the metrics, which a scrape asks of all members at once.
//!
//! Frames stay whole and in order: what the JavaScript thread can't write at once waits here, and is written before
//! whatever the Rust thread says next. Large frames, which need a grant, are the Rust thread's; what is said about metrics
//! behind them is as well, as long as they wait: a snapshot means what the schema before it says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::error::Result;
use crate::ipc::connection::{Connection, Outward};
use crate::ipc::direct::Direct;
use crate::ipc::flow::{GRANTS, SMALL};
use crate::ipc::frame::HEADER_LEN;
use crate::role::Epoch;

/// With more than this, the primary does not read: nothing more is said from the JavaScript thread.
const MOST: usize = 4 * 1024 * 1024;

/// With more parcels about metrics than this left to the Rust thread, the primary does not read either.
const MOST_LEFT: usize = 8;

/// One tenure's.
#[derive(Debug)]
pub struct Voice {
    epoch: Epoch,
    state: Mutex<State>,
    has_more: Notify,
    direct: Option<Direct>,
    /// The largest frame that is said from the JavaScript thread.
    largest: usize,
    /// Parcels about metrics that the JavaScript thread has left to the Rust thread, and are not written yet.
    left: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    /// The Rust thread writes, or has failed to: then nobody does any more.
    writing: bool,
    /// What comes after what is being written.
    waiting: Vec<u8>,
}

impl Voice {
    /// Of a connection, whose outward half says everything through [`Self::write`] from now on.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn new(epoch: Epoch, protocol: u32, connection: &Connection) -> Result<Self> {
        Ok(Self {
            epoch,
            largest: if protocol >= GRANTS { HEADER_LEN + SMALL } else { usize::MAX },
            left: AtomicUsize::new(0),
            state: Mutex::default(),
            has_more: Notify::new(),
            direct: connection.direct()?,
        })
    }

    /// Whether frames of these sizes may be said from the JavaScript thread now.
    #[must_use]
    pub fn takes(&self, mut sizes: impl Iterator<Item = usize>) -> bool {
        self.left.load(Ordering::Acquire) == 0 && sizes.all(|size| size <= self.largest)
    }

    /// Whether the primary reads what was left to the Rust thread.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.left.load(Ordering::Acquire) <= MOST_LEFT
    }

    /// So many parcels about metrics are left to the Rust thread.
    pub fn leave(&self, parcels: usize) {
        self.left.fetch_add(parcels, Ordering::AcqRel);
    }

    /// The Rust thread has written so many of them.
    pub fn written(&self, parcels: usize) {
        // Those that were on their way when this tenure began were not counted.
        let less = |left: usize| Some(left.saturating_sub(parcels));
        let _ = self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
    }

    /// Says whole frames, from any thread, without waiting. `false` when the primary has not read what was said before:
    /// then nothing of it is said.
    pub fn say(&self, frames: &[u8]) -> bool {
        let mut state = self.state();
        if state.waiting.len() > MOST {
            return false;
        }
        let written = if state.writing || !state.waiting.is_empty() { 0 } else { self.write_now(frames) };
        if written < frames.len() {
            state.waiting.extend_from_slice(&frames[written..]);
            self.has_more.notify_one();
        }
        true
    }

    /// Waits until [`Self::say`] has left something to [`Self::write`].
    pub async fn has_more(&self) {
        self.has_more.notified().await;
    }

    /// Writes what waits, and then `frames`: the Rust thread's part. `moved` is told when the socket takes a part of `frames`.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn write(&self, outward: Outward<'_>, frames: &[u8], moved: impl Fn()) -> Result<()> {
        let waiting = {
            let mut state = self.state();
            state.writing = true;
            std::mem::take(&mut state.waiting)
        };
        if !waiting.is_empty() {
            outward.send(&waiting, || {}).await?;
        }
        outward.send(frames, moved).await?;
        let mut state = self.state();
        state.writing = false;
        if !state.waiting.is_empty() {
            self.has_more.notify_one();
        }
        Ok(())
    }

    fn write_now(&self, frames: &[u8]) -> usize {
        self.direct.as_ref().map_or(0, |direct| direct.write_now(frames, &[]))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the JavaScript thread finds the voice of the tenure, if this process follows.
#[derive(Clone, Debug, Default)]
pub struct Voices(Arc<Mutex<Option<Arc<Voice>>>>);

impl Voices {
    /// The voice of that tenure.
    #[must_use]
    pub fn of(&self, epoch: Epoch) -> Option<Arc<Voice>> {
        self.lock().clone().filter(|voice| voice.epoch == epoch)
    }

    /// `voice` is found until what is returned is dropped.
    #[must_use]
    pub fn enter(&self, voice: &Arc<Voice>) -> Entered {
        *self.lock() = Some(Arc::clone(voice));
        Entered(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Voice>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Voices::enter`].
#[derive(Debug)]
pub struct Entered(Voices);

impl Drop for Entered {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}
