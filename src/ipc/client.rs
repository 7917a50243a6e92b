//! A worker's Rust side: joins the group whose primary listens at an address, and follows it until it is gone.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::error::{AgentError, Result};
use crate::inbox::Notice;
use crate::ipc::connection::Connection;
use crate::ipc::lane::{self, LaneContext, OpenLane, Peer};
use crate::ipc::message::{supported, MemberInfo, MemberState, Message, PROTOCOL};
use crate::role::{Epoch, MemberId};

/// How long a lane is read on when the control connection has ended before it: a dead peer's socket ends by itself.
const DRAIN: Duration = Duration::from_secs(1);

/// What a follower may ask or say on the control lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// Our own state has changed.
    State(MemberState),
    /// Who is in the group?
    ListMembers(u32),
}

/// A membership under a primary, both connections open.
#[derive(Debug)]
pub struct Following {
    /// The primary's tenure.
    pub epoch: Epoch,
    /// Our id in it.
    pub id: MemberId,
    /// Who leads.
    pub primary: MemberInfo,
    control: Connection,
    calls: Connection,
    max_payload: usize,
}

/// Joins the group at `address` as `me`.
///
/// # Errors
/// [`AgentError::Refused`] when the primary doesn't want us; every other error means that there is nobody to join yet.
pub async fn join(address: &Path, me: &MemberInfo, max_payload: usize) -> Result<Following> {
    let mut control = Connection::connect(address).await?;
    let hello = Message::Hello { protocol: PROTOCOL, member: me.clone(), max_payload };
    control.send(&hello, Epoch(0)).await?;
    let (id, epoch, primary, token, theirs) = match control.next_message().await? {
        Message::Welcome { protocol, id, epoch, primary, token, max_payload } => {
            if !supported(protocol) {
                return Err(AgentError::Refused(format!(
                    "the primary (pid {}) speaks protocol {protocol}, this process protocol {PROTOCOL}",
                    primary.pid
                )));
            }
            (id, epoch, primary, token, max_payload)
        }
        Message::Refused { reason } => return Err(AgentError::Refused(reason)),
        other => return Err(AgentError::BadFrame(format!("{other:?} where a welcome belongs"))),
    };
    let mut calls = Connection::connect(address).await?;
    calls.send(&Message::OpenCalls { id, token }, epoch).await?;
    match calls.next_message().await? {
        Message::CallsOpen => {}
        other => return Err(AgentError::BadFrame(format!("{other:?} where an open lane belongs"))),
    }
    Ok(Following { epoch, id, primary, control, calls, max_payload: theirs })
}

impl Following {
    /// Follows until either connection ends. The call lane has been read to its end then.
    ///
    /// # Errors
    /// What ended it; [`AgentError::Disconnected`] when the primary just closed.
    pub async fn follow(self, context: &LaneContext, said: &mut mpsc::UnboundedReceiver<Say>) -> Result<()> {
        let Self { epoch, id, primary, mut control, calls, max_payload } = self;
        let inbox = Arc::clone(&context.inbox);
        inbox.tell(Notice::Following { epoch, id, primary: primary.clone() });
        let peer = Peer { calls_us: false, id: primary.id, max_payload };
        let lane: OpenLane = lane::open(calls.into_parts(), epoch, peer, context)?;
        if primary.state == MemberState::Ready {
            inbox.tell(Notice::PrimaryReady { epoch });
        }
        let mut running = std::pin::pin!(lane.run());
        let control = async {
            loop {
                tokio::select! {
                    frame = control.next() => {
                        if let Some(notice) = understand(Message::from_frame(&frame?)?, primary.id, epoch)? {
                            inbox.tell(notice);
                        }
                    }
                    Some(say) = said.recv() => {
                        let message = match say {
                            Say::State(state) => Message::State { id, state },
                            Say::ListMembers(request) => Message::ListMembers { request },
                        };
                        control.send(&message, epoch).await?;
                    }
                }
            }
        };
        tokio::select! {
            outcome = &mut running => outcome,
            outcome = control => {
                let outcome: Result<()> = outcome;
                // Its replies may still be in the other socket.
                let _ = tokio::time::timeout(DRAIN, running).await;
                outcome
            }
        }
    }
}

/// What JavaScript is told of a message from the primary.
fn understand(message: Message, primary: MemberId, epoch: Epoch) -> Result<Option<Notice>> {
    Ok(match message {
        Message::State { id, state: MemberState::Ready } if id == primary => {
            Some(Notice::PrimaryReady { epoch })
        }
        Message::State { id, state } => Some(Notice::MemberState { id, state }),
        Message::Joined { member } => Some(Notice::MemberJoined { member }),
        Message::Left { member } => Some(Notice::MemberLeft { member }),
        Message::Members { request, members } => Some(Notice::Members { request, members }),
        other => return Err(AgentError::BadFrame(format!("{other:?} from a primary"))),
    })
}
