//! What waits to be written to a control connection: put in from anywhere, without waiting, and taken out by the one task that
//! writes. What is in it is bounded by those who put in ([`crate::ipc::flow`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::error::Result;
use crate::ipc::flow::sending::{Outgoing, Piece, SendQueue};
use crate::ipc::flow::WINDOW;
use crate::ipc::message::Message;
use crate::role::Epoch;

/// Credit of less than this is given later.
const LEAST_CREDIT: usize = WINDOW / 4;

/// See the module. Clones are one outbox.
#[derive(Clone, Debug)]
pub struct Outbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
    ended: Notify,
}

#[derive(Debug)]
struct State {
    queue: SendQueue,
    end: End,
    /// A number that grows as long as the peer reads more than words of flow control and beats.
    moved: u64,
    /// What was handed on, and not credited yet.
    owed: usize,
}

/// How long an outbox lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// What is in it is written, and then its connection ends.
    WhenEmpty,
    /// Its connection ends now.
    Now,
}

impl Outbox {
    /// Of a connection on which that protocol is spoken, in the tenure `epoch`.
    #[must_use]
    pub fn new(protocol: u32, epoch: Epoch) -> Self {
        let queue = SendQueue::new(protocol, epoch);
        let state = Mutex::new(State { queue, end: End::Open, moved: 0, owed: 0 });
        Self(Arc::new(Shared { state, changed: Notify::new(), ended: Notify::new() }))
    }

    /// Puts a frame in. Nothing is kept when the connection has ended.
    pub fn send(&self, frame: Outgoing) {
        self.change(|state| state.queue.push(frame));
    }

    /// Puts a word of flow control in, which passes all other frames.
    pub fn say(&self, word: &Message) {
        self.change(|state| state.queue.push_urgent(word));
    }

    /// Puts a beat in, which passes all other frames.
    pub fn beat(&self, beat: &Message) {
        self.change(|state| state.queue.push_beat(beat));
    }

    /// So many bytes of counted frames that came from the other end are handed on.
    pub fn credit_back(&self, bytes: usize) {
        let mut state = self.state();
        state.owed += bytes;
        if state.owed >= LEAST_CREDIT {
            let bytes = u32::try_from(std::mem::take(&mut state.owed)).unwrap_or(u32::MAX);
            state.queue.push_urgent(&Message::Credit { bytes });
            drop(state);
            self.0.changed.notify_one();
        }
    }

    /// The other end has granted what was announced.
    ///
    /// # Errors
    /// When nothing was.
    pub fn granted(&self) -> Result<()> {
        let granted = self.state().queue.grant();
        self.0.changed.notify_one();
        granted
    }

    /// The other end has handed on so many bytes.
    pub fn credited(&self, bytes: usize) {
        self.change(|state| state.queue.credit(bytes));
    }

    /// How many bytes wait, and a number that changes as long as the peer reads.
    #[must_use]
    pub fn progress(&self) -> (usize, u64) {
        let state = self.state();
        (state.queue.waiting(), state.moved)
    }

    /// How many bytes of small frames wait.
    #[must_use]
    pub fn waiting_small(&self) -> usize {
        self.state().queue.waiting_small()
    }

    /// How many frames wait.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.state().queue.frames()
    }

    /// Whether a large frame waits.
    #[must_use]
    pub fn has_large(&self) -> bool {
        self.state().queue.has_large()
    }

    /// Ends the connection when all that is in it is written.
    pub fn finish(&self) {
        self.end(End::WhenEmpty);
    }

    /// Ends the connection now.
    pub fn cut(&self) {
        self.end(End::Now);
        self.0.ended.notify_one();
    }

    fn end(&self, how: End) {
        self.change(|state| {
            if state.end != End::Now {
                state.end = how;
            }
        });
    }

    /// Waits for [`Self::cut`].
    pub async fn is_cut(&self) {
        while self.state().end != End::Now {
            self.0.ended.notified().await;
        }
    }

    /// The next bytes to write; `None` at the end. Safe to cancel.
    pub async fn next(&self) -> Option<Piece> {
        loop {
            {
                let mut state = self.state();
                if state.end == End::Now {
                    return None;
                }
                if let Some(piece) = state.queue.next_piece() {
                    return Some(piece);
                }
                if state.end == End::WhenEmpty && state.queue.is_empty() {
                    return None;
                }
            }
            self.0.changed.notified().await;
        }
    }

    /// The socket has taken bytes of a piece.
    pub fn moved(&self, piece: &Piece) {
        if piece.is_load {
            self.state().moved += 1;
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        {
            let mut state = self.state();
            if state.end == End::Now {
                return;
            }
            change(&mut state);
        }
        self.0.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined() -> Outgoing {
        Outgoing::message(&Message::CallsOpen, Epoch(1))
    }

    #[tokio::test]
    async fn what_waits_is_written_before_the_end_and_nothing_after_a_cut() {
        let outbox = Outbox::new(4, Epoch(1));
        outbox.send(joined());
        outbox.send(joined());
        outbox.finish();
        let piece = outbox.next().await.map(|piece| piece.bytes.len());
        assert_eq!((piece, outbox.next().await), (Some(2 * joined().len()), None));
        let outbox = Outbox::new(4, Epoch(1));
        outbox.send(joined());
        outbox.cut();
        outbox.send(joined());
        assert_eq!(outbox.next().await, None);
        outbox.is_cut().await;
    }

    #[tokio::test]
    async fn credit_is_given_in_large_parts() {
        let outbox = Outbox::new(4, Epoch(1));
        outbox.credit_back(LEAST_CREDIT - 1);
        outbox.finish();
        assert_eq!(outbox.next().await, None);
        outbox.credit_back(1);
        let credit = Message::Credit { bytes: u32::try_from(LEAST_CREDIT).unwrap_or(0) }.to_bytes(Epoch(1));
        assert_eq!(outbox.next().await.map(|piece| piece.bytes), Some(credit));
    }
}
