//! What a follower says on the control lane: what there is to say, and now and then that we run and how our event loop
//! does.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::Say;
use crate::error::Result;
use crate::inbox::{Inbox, Notice};
use crate::ipc::connection::Outward;
use crate::ipc::deaths::Known;
use crate::ipc::message::{MemberState, Message};
use crate::ipc::voice::Voice;
use crate::role::{Epoch, MemberId};
use crate::time::millis;
use crate::watch::lag::{Lag, Verdict};
use crate::watch::{ticks, Limits};

/// See the module.
pub(super) struct Talking<'a> {
    pub(super) inbox: &'a Inbox,
    pub(super) voice: &'a Voice,
    pub(super) epoch: Epoch,
    pub(super) id: MemberId,
    pub(super) outward: Outward<'a>,
    pub(super) beat: Duration,
    pub(super) limits: Limits,
    pub(super) written: &'a mut u64,
    pub(super) known: &'a RefCell<&'a mut Known>,
}

impl Talking<'_> {
    /// Until there is nobody to say anything any more.
    pub(super) async fn run(mut self, said: &mut mpsc::UnboundedReceiver<Say>) -> Result<()> {
        let mut lag = Lag::new(self.limits.max_lag, self.limits.beat(), Instant::now());
        let mut beat = ticks(self.beat);
        loop {
            tokio::select! {
                say = said.recv() => match say {
                    Some(say) => {
                        if matches!(say, Say::State(_)) {
                            // First: it may have been silent until this very moment, as one that starts is.
                            self.look(&mut lag).await?;
                        }
                        self.say(say).await?;
                    }
                    None => return Ok(()),
                },
                () = self.voice.has_more() => self.write(&[]).await?,
                _ = beat.tick() => {
                    lag.look(self.inbox, Instant::now());
                    self.say_lag(&lag).await?;
                }
                () = tokio::time::sleep_until(lag.next_look().into()) => self.look(&mut lag).await?,
            }
        }
    }

    /// Says at once that the event loop is stuck, or turns again.
    async fn look(&self, lag: &mut Lag) -> Result<()> {
        match lag.look(self.inbox, Instant::now()) {
            Verdict::Changed => self.say_lag(lag).await,
            Verdict::Same => Ok(()),
        }
    }

    async fn say(&mut self, say: Say) -> Result<()> {
        let (epoch, id) = (self.epoch, self.id);
        match say {
            Say::State(state) => {
                // The primary tells the others alone.
                let message = Message::State { id, state };
                self.known.borrow_mut().hear(&message);
                self.send(&message).await
            }
            Say::ListMembers(request) => self.send(&Message::ListMembers { request }).await,
            Say::AskHealth(request) => {
                // Who is frozen answers nobody.
                let without = self.known.borrow().without_primary();
                if let Some(members) = without {
                    self.inbox.tell(Notice::Health { request, members });
                    return Ok(());
                }
                self.known.borrow_mut().ask(request);
                self.send(&Message::AskHealth { request }).await
            }
            Say::Parcel(of, said) if of == epoch => {
                let (parcel, body) = *said;
                self.write(&parcel.to_bytes(epoch, &body)?).await?;
                *self.written += u64::from(parcel.is_request());
                Ok(())
            }
            // Of an earlier tenure: our JavaScript is about to hear of its end, and asks again.
            Say::Parcel(..) => Ok(()),
            Say::Goodbye(is_said) => {
                self.send(&Message::State { id, state: MemberState::Leaving }).await?;
                is_said.notify_one();
                Ok(())
            }
        }
    }

    async fn say_lag(&self, lag: &Lag) -> Result<()> {
        self.send(&Message::Beat {
            lag_ms: millis(lag.silence()),
            is_stuck: lag.is_stuck(),
            dead: Vec::new(),
        })
        .await
    }

    async fn send(&self, message: &Message) -> Result<()> {
        self.write(&message.to_bytes(self.epoch)).await
    }

    async fn write(&self, bytes: &[u8]) -> Result<()> {
        self.voice.write(self.outward, bytes).await
    }
}
