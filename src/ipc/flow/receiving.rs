//! What comes in on a control lane, at either end: reads at all times, puts large frames together, and grants them.

use std::future::pending;
use std::sync::Arc;

use super::assembly::{Assembled, Assembly};
use super::budget::{Permit, ReceiveBudget, Waiting};
use super::signs::Signs;
use super::{GRANTS, SMALL};
use crate::error::{AgentError, Result};
use crate::ipc::connection::{Arrived, Incoming};
use crate::ipc::frame::{Frame, Kind, HEADER_LEN};
use crate::ipc::message::Message;
use crate::ipc::outbox::Outbox;
use crate::ipc::parcel::{Body, Parcel};

/// What was heard.
#[derive(Debug)]
pub enum Heard {
    /// A message, which is none of flow control.
    Message(Message),
    /// A parcel.
    Parcel(Parcel, Body, Weight),
    /// A large frame of the call lane may be sent.
    CallsGranted,
}

/// What a parcel takes until it is handed on.
#[derive(Debug, Default)]
pub struct Weight {
    /// The part of the budget that its body takes, if it is large.
    pub permit: Option<Permit>,
    /// What is to be credited for it, if it is counted.
    pub counted: usize,
}

/// What a [`Receiving`] is made of.
#[derive(Debug)]
pub struct Terms {
    /// The protocol's version that both ends speak.
    pub protocol: u32,
    /// The largest payload on the control lane.
    pub max_control: usize,
    /// The largest payload on the call lane.
    pub max_calls: usize,
    /// Out of which large frames are granted.
    pub budget: ReceiveBudget,
    /// What is seen of the other end.
    pub signs: Arc<Signs>,
    /// Where grants are said.
    pub outbox: Outbox,
}

/// See the module.
pub struct Receiving<'a> {
    incoming: Incoming<'a>,
    terms: Terms,
    assembly: Assembly,
    control: Option<Waiting>,
    calls: Option<(usize, Waiting)>,
    /// For a frame of a peer that announces nothing.
    unannounced: Option<Waiting>,
}

impl<'a> Receiving<'a> {
    /// Of a connection whose handshake is over.
    #[must_use]
    pub fn new(incoming: Incoming<'a>, terms: Terms) -> Self {
        let assembly = Assembly::new(terms.max_control);
        Self { incoming, terms, assembly, control: None, calls: None, unannounced: None }
    }

    /// Whether the connection is not read, because a peer of an older protocol has begun a large frame for which there is no
    /// room. Its silence means nothing then.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.unannounced.is_some()
    }

    /// What is heard next. Safe to cancel.
    ///
    /// # Errors
    /// [`AgentError::Disconnected`] at the end, [`AgentError::BadFrame`] for what no peer says.
    pub async fn next(&mut self) -> Result<Heard> {
        loop {
            let is_paused = self.is_paused();
            tokio::select! {
                permit = given(&mut self.control) => {
                    self.assembly.grant(permit);
                    self.terms.signs.owe();
                    self.terms.outbox.say(&Message::Grant { lane: false });
                }
                permit = given(&mut self.unannounced) => self.incoming.grant(permit),
                (length, permit) = calls_given(&mut self.calls) => {
                    self.terms.signs.grant_calls(length, permit);
                    self.terms.outbox.say(&Message::Grant { lane: true });
                }
                arrived = self.incoming.next(&self.terms.signs), if !is_paused => match arrived? {
                    Arrived::Frame(frame) => if let Some(heard) = self.understand(frame)? {
                        return Ok(heard);
                    },
                    Arrived::Large(length) if self.terms.protocol < GRANTS => {
                        self.unannounced = Some(self.terms.budget.take(length));
                    }
                    Arrived::Large(length) => {
                        return Err(AgentError::BadFrame(format!("{length} bytes that were not announced")));
                    }
                    Arrived::End => return Err(AgentError::Disconnected),
                },
            }
        }
    }

    fn understand(&mut self, frame: Frame) -> Result<Option<Heard>> {
        if frame.kind == Kind::Chunk {
            self.terms.signs.note_chunk(frame.payload.len());
            let Some(Assembled { frame, permit }) = self.assembly.add(&frame.payload)? else {
                return Ok(None);
            };
            self.terms.signs.settle();
            return match frame.kind {
                Kind::Chunk => Err(AgentError::BadFrame("a chunk of chunks".into())),
                Kind::Control => Ok(Some(Heard::Message(Message::from_frame(&frame)?))),
                _ => {
                    let (parcel, body) = Parcel::from_frame(frame)?;
                    Ok(Some(Heard::Parcel(parcel, body, Weight { permit: Some(permit), counted: 0 })))
                }
            };
        }
        if frame.kind == Kind::Control {
            return match Message::from_frame(&frame)? {
                Message::Announce { bytes, lane: false } => {
                    self.assembly.announce(bytes as usize)?;
                    self.control = Some(self.terms.budget.take(bytes as usize));
                    Ok(None)
                }
                Message::Announce { bytes, lane: true } => {
                    let bytes = bytes as usize;
                    if bytes <= SMALL || bytes > self.terms.max_calls || self.calls.is_some() {
                        return Err(AgentError::BadFrame(format!(
                            "an announcement of {bytes} bytes of calls"
                        )));
                    }
                    self.calls = Some((bytes, self.terms.budget.take(bytes)));
                    Ok(None)
                }
                Message::Grant { lane: false } => self.terms.outbox.granted().map(|()| None),
                Message::Grant { lane: true } => Ok(Some(Heard::CallsGranted)),
                Message::Credit { bytes } => {
                    self.terms.outbox.credited(bytes as usize);
                    Ok(None)
                }
                message => Ok(Some(Heard::Message(message))),
            };
        }
        let size = HEADER_LEN + frame.head.len() + frame.payload.len();
        let (parcel, body) = Parcel::from_frame(frame)?;
        let counted = if parcel.class().is_counted() { size } else { 0 };
        Ok(Some(Heard::Parcel(parcel, body, Weight { permit: None, counted })))
    }
}

async fn given(waiting: &mut Option<Waiting>) -> Permit {
    let Some(permit) = waiting else { return pending().await };
    let permit = permit.as_mut().await;
    *waiting = None;
    permit
}

async fn calls_given(waiting: &mut Option<(usize, Waiting)>) -> (usize, Permit) {
    let Some((length, permit)) = waiting else { return pending().await };
    let given = (*length, permit.as_mut().await);
    *waiting = None;
    given
}
