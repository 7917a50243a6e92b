//! What a follower says on the control lane: what there is to say, and now and then that we run and how our event loop
//! does.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, Notify};

use super::Say;
use crate::error::Result;
use crate::inbox::{Inbox, Notice};
use crate::ipc::connection::Outward;
use crate::ipc::deaths::Known;
use crate::ipc::flow::sending::Outgoing;
use crate::ipc::message::{MemberState, Message};
use crate::ipc::outbox::Outbox;
use crate::ipc::voice::Voice;
use crate::role::{Epoch, MemberId};
use crate::time::millis;
use crate::watch::lag::{Lag, Verdict};
use crate::watch::{ticks, Limits};

/// See the module.
pub(super) struct Talking<'a> {
    pub(super) inbox: &'a Inbox,
    pub(super) outbox: &'a Outbox,
    pub(super) epoch: Epoch,
    pub(super) id: MemberId,
    pub(super) beat: Duration,
    pub(super) limits: Limits,
    pub(super) known: &'a RefCell<&'a mut Known>,
}

impl Talking<'_> {
    /// Puts into the outbox what there is to say, until nobody says anything any more. Returns who waits for our goodbye to be
    /// written, if one was said: then nothing follows it.
    pub(super) async fn run(self, said: &mut mpsc::UnboundedReceiver<Say>) -> Result<Option<Arc<Notify>>> {
        let mut lag = Lag::new(self.limits.max_lag, self.limits.beat(), Instant::now());
        let mut beat = ticks(self.beat);
        loop {
            tokio::select! {
                say = said.recv() => match say {
                    Some(Say::Goodbye(is_said)) => {
                        self.send(&Message::State { id: self.id, state: MemberState::Leaving });
                        return Ok(Some(is_said));
                    }
                    Some(say) => {
                        if matches!(say, Say::State(_)) {
                            // First: it may have been silent until this very moment, as one that starts is.
                            self.look(&mut lag);
                        }
                        self.say(say)?;
                    }
                    None => return Ok(None),
                },
                _ = beat.tick() => {
                    lag.look(self.inbox, Instant::now());
                    self.say_lag(&lag);
                }
                () = tokio::time::sleep_until(lag.next_look().into()) => self.look(&mut lag),
            }
        }
    }

    /// Says at once that the event loop is stuck, or turns again.
    fn look(&self, lag: &mut Lag) {
        if lag.look(self.inbox, Instant::now()) == Verdict::Changed {
            self.say_lag(lag);
        }
    }

    fn say(&self, say: Say) -> Result<()> {
        let (epoch, id) = (self.epoch, self.id);
        match say {
            Say::State(state) => {
                // The primary tells the others alone.
                let message = Message::State { id, state };
                self.known.borrow_mut().hear(&message);
                self.send(&message);
            }
            Say::ListMembers(request) => self.send(&Message::ListMembers { request }),
            Say::AskHealth(request) => {
                // Who is frozen answers nobody.
                let without = self.known.borrow().without_primary();
                if let Some(members) = without {
                    self.inbox.tell(Notice::Health { request, members });
                } else {
                    self.known.borrow_mut().ask(request);
                    self.send(&Message::AskHealth { request });
                }
            }
            Say::Parcel(of, said) if of == epoch => {
                let (parcel, body) = *said;
                self.outbox.send(Outgoing::parcel(&parcel, epoch, &body, None)?);
            }
            // Of an earlier tenure: our JavaScript is about to hear of its end, and asks again.
            Say::Parcel(..) | Say::Goodbye(_) => {}
        }
        Ok(())
    }

    /// Whatever else waits to be written: a process that beats runs.
    fn say_lag(&self, lag: &Lag) {
        self.outbox.beat(&Message::Beat {
            lag_ms: millis(lag.silence()),
            is_stuck: lag.is_stuck(),
            dead: Vec::new(),
        });
    }

    fn send(&self, message: &Message) {
        self.outbox.send(Outgoing::message(message, self.epoch));
    }
}

/// Writes what is in the outbox, until that ends. `written` counts the requests.
pub(super) async fn write_out(
    outbox: &Outbox,
    voice: &Voice,
    outward: Outward<'_>,
    written: &mut u64,
) -> Result<()> {
    loop {
        tokio::select! {
            piece = outbox.next() => {
                let Some(piece) = piece else { return Ok(()) };
                voice.write(outward, &piece.bytes, || outbox.moved(&piece)).await?;
                *written += piece.requests;
                voice.written(piece.metrics);
            }
            () = voice.has_more() => voice.write(outward, &[], || {}).await?,
        }
    }
}
