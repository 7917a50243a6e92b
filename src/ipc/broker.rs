//! The primary's Rust side: accepts members, knows who is there, and opens their call lanes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use interprocess::local_socket::tokio::{prelude::*, Listener, Stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::error::{AgentError, Result};
use crate::inbox::Notice;
use crate::ipc::connection::Connection;
use crate::ipc::lane::{self, Lane, LaneContext, Peer};
use crate::ipc::message::{supported, MemberInfo, MemberState, Message, PROTOCOL};
use crate::role::{Epoch, MemberId};
use crate::time::now_ms;

/// How many messages may wait for a member that doesn't read; one more, and it is turned out.
const OUTBOX: usize = 4096;

/// A primary's broker, for one tenure.
#[derive(Debug)]
pub struct Broker {
    epoch: Epoch,
    context: LaneContext,
    roster: Mutex<Roster>,
    /// Handing over: nobody is welcome any more.
    closing: AtomicBool,
}

#[derive(Debug)]
struct Roster {
    primary: MemberInfo,
    members: BTreeMap<MemberId, Entry>,
    last_id: u32,
}

#[derive(Debug)]
struct Entry {
    info: MemberInfo,
    token: String,
    max_payload: usize,
    outbox: mpsc::Sender<Vec<u8>>,
    lane: Option<Arc<Lane>>,
}

impl Broker {
    /// A broker for the tenure `epoch` of `primary`.
    #[must_use]
    pub fn new(epoch: Epoch, mut primary: MemberInfo, context: LaneContext) -> Self {
        primary.id = MemberId(1);
        primary.role = "primary".into();
        primary.joined_at = now_ms();
        let roster = Mutex::new(Roster { primary, members: BTreeMap::new(), last_id: 1 });
        Self { epoch, context, roster, closing: AtomicBool::new(false) }
    }

    /// Our own id.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.roster().primary.id
    }

    /// Accepts members until cancelled; then every connection is closed.
    pub async fn serve(self: &Arc<Self>, listener: &Listener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok(stream) => {
                        connections.spawn(Arc::clone(self).welcome(stream));
                    }
                    Err(error) => {
                        // No descriptor left, for one: others may close theirs.
                        warn!("a connection could not be accepted: {error}");
                        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }

    /// Everybody, the primary first.
    #[must_use]
    pub fn members(&self) -> Vec<MemberInfo> {
        let roster = self.roster();
        std::iter::once(&roster.primary)
            .chain(roster.members.values().map(|entry| &entry.info))
            .cloned()
            .collect()
    }

    /// The primary's own state has changed.
    pub fn set_state(&self, state: MemberState) {
        let mut roster = self.roster();
        roster.primary.state = state;
        let id = roster.primary.id;
        self.broadcast(&mut roster, None, &Message::State { id, state });
    }

    /// Welcomes nobody any more, and says the last word on every call lane; the lanes close when it is out.
    pub fn finish(&self) -> Vec<Arc<Lane>> {
        self.closing.store(true, Ordering::Relaxed);
        let lanes: Vec<_> = self.roster().members.values().filter_map(|entry| entry.lane.clone()).collect();
        for lane in &lanes {
            lane.finish(&self.context.inbox);
        }
        lanes
    }

    /// A connection's first message tells which of a member's two it is.
    async fn welcome(self: Arc<Self>, stream: Stream) {
        match self.shake_hands(stream).await {
            Ok(()) | Err(AgentError::Disconnected) => {}
            Err(error @ (AgentError::BadFrame(_) | AgentError::ForeignUser { .. })) => {
                warn!("a connection was closed: {error}");
            }
            Err(error) => debug!("a connection ended: {error}"),
        }
    }

    async fn shake_hands(&self, stream: Stream) -> Result<()> {
        let mut connection = Connection::accepted(stream)?;
        let message = connection.next_message().await?;
        if self.closing.load(Ordering::Relaxed) {
            // It tries again, with the next primary.
            return Err(AgentError::Disconnected);
        }
        match message {
            Message::Hello { protocol, member, max_payload } => {
                self.control(connection, protocol, member, max_payload).await
            }
            Message::OpenCalls { id, token } => self.calls(connection, id, &token).await,
            other => Err(AgentError::BadFrame(format!("{other:?} where a hello belongs"))),
        }
    }

    async fn control(
        &self,
        mut connection: Connection,
        protocol: u32,
        member: MemberInfo,
        max_payload: usize,
    ) -> Result<()> {
        if !supported(protocol) {
            let reason = format!(
                "the primary (pid {}, version {}) speaks protocol {PROTOCOL}, this process protocol {protocol}; \
                 run one version of @midwayjs/process-agent in all processes of a group",
                std::process::id(),
                self.roster().primary.version,
            );
            warn!("pid {} was refused: it speaks protocol {protocol}, this process {PROTOCOL}", member.pid);
            return connection.send(&Message::Refused { reason }, self.epoch).await;
        }
        let (outbox, mut queued) = mpsc::channel(OUTBOX);
        let (id, welcome) = self.enter(member, max_payload, outbox);
        let left = Leaving { broker: self, id };
        connection.send(&welcome, self.epoch).await?;
        loop {
            tokio::select! {
                frame = connection.next() => self.listen_to(id, &Message::from_frame(&frame?)?)?,
                bytes = queued.recv() => match bytes {
                    Some(bytes) => connection.send_bytes(&bytes).await?,
                    // Turned out: it didn't read.
                    None => break,
                },
            }
        }
        drop(left);
        Ok(())
    }

    fn enter(
        &self,
        mut info: MemberInfo,
        max_payload: usize,
        outbox: mpsc::Sender<Vec<u8>>,
    ) -> (MemberId, Message) {
        let mut roster = self.roster();
        roster.last_id += 1;
        let id = MemberId(roster.last_id);
        info.id = id;
        info.role = "worker".into();
        info.joined_at = now_ms();
        let token = token();
        let welcome = Message::Welcome {
            protocol: PROTOCOL,
            id,
            epoch: self.epoch,
            primary: roster.primary.clone(),
            token: token.clone(),
            max_payload: self.context.max_payload,
        };
        self.context.inbox.tell(Notice::MemberJoined { member: info.clone() });
        self.broadcast(&mut roster, Some(id), &Message::Joined { member: info.clone() });
        roster.members.insert(id, Entry { info, token, max_payload, outbox, lane: None });
        (id, welcome)
    }

    fn leave(&self, id: MemberId) {
        let mut roster = self.roster();
        let Some(entry) = roster.members.remove(&id) else {
            return;
        };
        self.context.inbox.tell(Notice::MemberLeft { member: entry.info.clone() });
        self.broadcast(&mut roster, Some(id), &Message::Left { member: entry.info });
    }

    fn listen_to(&self, id: MemberId, message: &Message) -> Result<()> {
        let mut roster = self.roster();
        match message {
            Message::State { state, .. } => {
                if let Some(entry) = roster.members.get_mut(&id) {
                    entry.info.state = *state;
                }
                self.context.inbox.tell(Notice::MemberState { id, state: *state });
                self.broadcast(&mut roster, Some(id), &Message::State { id, state: *state });
                Ok(())
            }
            Message::ListMembers { request } => {
                drop(roster);
                let answer = Message::Members { request: *request, members: self.members() };
                let bytes = answer.to_bytes(self.epoch);
                let sender = self.roster().members.get(&id).map(|entry| entry.outbox.clone());
                sender.map_or(Ok(()), |outbox| outbox.try_send(bytes).map_err(|_| AgentError::Disconnected))
            }
            other => Err(AgentError::BadFrame(format!("{other:?} from a member"))),
        }
    }

    async fn calls(&self, mut connection: Connection, id: MemberId, token: &str) -> Result<()> {
        let peer = {
            let roster = self.roster();
            let entry = roster.members.get(&id).filter(|entry| entry.token == token && entry.lane.is_none());
            let entry = entry.ok_or_else(|| AgentError::BadFrame(format!("no welcome for member {id}")))?;
            Peer { calls_us: true, id, max_payload: entry.max_payload }
        };
        connection.send(&Message::CallsOpen, self.epoch).await?;
        let open = lane::open(connection.into_parts(), self.epoch, peer, &self.context)?;
        if let Some(entry) = self.roster().members.get_mut(&id) {
            entry.lane = Some(Arc::clone(&open.lane));
        }
        if self.closing.load(Ordering::Relaxed) {
            // It came between: nothing of it was accepted.
            open.lane.finish(&self.context.inbox);
        }
        let outcome = open.run().await;
        // Either connection's end is the member's: its control task ends when its outbox is gone.
        self.leave(id);
        outcome
    }

    /// Sends to every member but one. A member that has not read its messages for long is turned out: it joins again
    /// when it reads on.
    fn broadcast(&self, roster: &mut Roster, except: Option<MemberId>, message: &Message) {
        let mut to_say = vec![(except, message.to_bytes(self.epoch))];
        while let Some((except, bytes)) = to_say.pop() {
            let deaf: Vec<_> = roster
                .members
                .iter()
                .filter(|(id, entry)| Some(**id) != except && entry.outbox.try_send(bytes.clone()).is_err())
                .map(|(id, _)| *id)
                .collect();
            for id in deaf {
                let Some(entry) = roster.members.remove(&id) else {
                    continue;
                };
                warn!("member {id} (pid {}) does not read its messages: it is turned out", entry.info.pid);
                self.context.inbox.tell(Notice::MemberLeft { member: entry.info.clone() });
                to_say.push((None, Message::Left { member: entry.info }.to_bytes(self.epoch)));
            }
        }
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a member off the roster when its control connection ends, however it ends.
struct Leaving<'a> {
    broker: &'a Broker,
    id: MemberId,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.broker.leave(self.id);
    }
}

/// A token that nobody can guess: it ties a call connection to its control connection.
fn token() -> String {
    let mut bytes = [0u8; 16];
    // Both connections are this user's anyway: without a source of randomness the roster still tells them apart.
    if getrandom::fill(&mut bytes).is_err() {
        warn!("no randomness for a token");
    }
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
