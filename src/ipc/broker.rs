//! The primary's Rust side: accepts members, knows who is there, opens their call lanes, and passes on what they ask of
//! each other. What it does for one member never waits for another one.

mod control;
mod inquiries;
mod metrics;
mod routes;
mod vitals;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use inquiries::Inquiry;
use interprocess::local_socket::tokio::{prelude::*, Listener, Stream};
use tokio::sync::{mpsc, Notify};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::error::{AgentError, Result};
use crate::inbox::Notice;
use crate::ipc::client::Manners;
use crate::ipc::connection::Connection;
use crate::ipc::deaths::{is_same, Deaths, Legacy};
use crate::ipc::flow::sending::Outgoing;
use crate::ipc::flow::signs::Signs;
use crate::ipc::gather::Gathers;
use crate::ipc::health::Vitals;
use crate::ipc::lane::{self, ControlEnd, Lane, LaneContext, Peer};
use crate::ipc::message::{MemberInfo, MemberState, Message, Speaks};
use crate::ipc::outbox::Outbox;
use crate::ipc::parcel::{Body, Parcel};
use crate::role::user::User;
use crate::role::{Epoch, MemberId};
use crate::time::Moment;
use crate::watch::Limits;

/// How long a member's event loop may be silent and the member still be a successor for a stuck primary.
const LIVELY: Duration = Duration::from_secs(1);
/// A member that has said nothing for so many times the time between two beats may be frozen.
const BEATS: u32 = 4;

/// How many frames may wait for a member that does not read: of messages to all, which wait for nobody.
const MOST_FRAMES: usize = 65_536;

/// How long a member that has gone is still heard, before it is taken off the roster.
const HEAR_OUT: Duration = Duration::from_millis(100);

/// A primary's broker, for one tenure.
#[derive(Debug)]
pub struct Broker {
    epoch: Epoch,
    context: LaneContext,
    user: User,
    speaks: Speaks,
    /// How long a silence of a member is borne.
    limits: Limits,
    roster: Mutex<Roster>,
    /// Handing over: nobody is welcome any more, and no new request is taken.
    closing: AtomicBool,
    /// What the primary's own JavaScript asks, and who passes it on.
    own: mpsc::UnboundedSender<(Parcel, Body)>,
    own_line: Mutex<Option<mpsc::UnboundedReceiver<(Parcel, Body)>>>,
    /// The gathers have changed: when the next one ends may have, too.
    gathers_changed: Notify,
    metrics: Mutex<metrics::GroupMetrics>,
    /// As with gathers; or there is something new to keep.
    metrics_changed: Notify,
    inquiries: Mutex<inquiries::Inquiries>,
}

#[derive(Debug)]
struct Roster {
    primary: MemberInfo,
    vitals: Vitals,
    members: BTreeMap<MemberId, Entry>,
    deaths: Deaths,
    last_id: u32,
    gathers: Gathers,
    /// How many requests of the primary itself were taken.
    own_taken: u64,
    /// Who has much to read and does not read, and how much it had read by then.
    deaf: BTreeMap<MemberId, u64>,
}

#[derive(Debug)]
struct Entry {
    info: MemberInfo,
    vitals: Vitals,
    token: String,
    max_payload: usize,
    protocol: u32,
    outbox: Outbox,
    /// What is seen of it on both of its connections.
    signs: Arc<Signs>,
    /// The same, as it was at the last look, and what it means.
    looks: vitals::Looks,
    lane: Option<Arc<Lane>>,
    /// How many of its requests were taken.
    taken: u64,
    /// The last word to it is queued.
    said_bye: bool,
    /// When anything was heard of it last: a process that is frozen says nothing.
    heard_at: Instant,
}

impl Broker {
    /// A broker for the tenure `epoch` of `primary`, which answers nothing yet.
    #[must_use]
    pub fn new(
        epoch: Epoch,
        mut primary: MemberInfo,
        context: LaneContext,
        manners: Manners,
        legacy: Legacy,
    ) -> Self {
        let now = Moment::now();
        primary.id = MemberId(1);
        primary.role = "primary".into();
        primary.joined_at = now.wall;
        primary.state = MemberState::Starting;
        let (own, own_line) = mpsc::unbounded_channel();
        let roster = Roster {
            vitals: Vitals::new(primary.state, now),
            primary,
            members: BTreeMap::new(),
            deaths: Deaths::new(legacy, manners.forget_dead, now),
            last_id: 1,
            gathers: Gathers::default(),
            own_taken: 0,
            deaf: BTreeMap::new(),
        };
        Self {
            epoch,
            context,
            user: manners.user,
            speaks: manners.speaks,
            limits: manners.limits,
            roster: Mutex::new(roster),
            closing: AtomicBool::new(false),
            own,
            own_line: Mutex::new(Some(own_line)),
            gathers_changed: Notify::new(),
            metrics: Mutex::default(),
            metrics_changed: Notify::new(),
            inquiries: Mutex::default(),
        }
    }

    /// Our own id.
    #[must_use]
    pub fn id(&self) -> MemberId {
        self.roster().primary.id
    }

    /// Accepts members until cancelled; then every connection is closed.
    pub async fn serve(self: &Arc<Self>, listener: &Listener) {
        let mut connections = JoinSet::new();
        let mut ends = std::pin::pin!(self.end_gathers());
        let mut own = std::pin::pin!(self.pass_own_on());
        let mut own_ended = false;
        let mut watching = std::pin::pin!(self.watch_members());
        let mut metrics = std::pin::pin!(self.run_metrics());
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok(stream) => {
                        connections.spawn(Arc::clone(self).welcome(stream));
                    }
                    Err(error) => {
                        // No descriptor left, for one: others may close theirs.
                        warn!("a connection could not be accepted: {error}");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                Some(_) = connections.join_next() => {}
                () = &mut ends => {}
                () = &mut own, if !own_ended => own_ended = true,
                () = &mut watching => {}
                () = &mut metrics => {}
            }
        }
    }

    /// The primary's own state has changed.
    pub fn set_state(&self, state: MemberState) {
        let mut roster = self.roster();
        roster.primary.state = state;
        roster.vitals.note(state, Moment::now());
        let id = roster.primary.id;
        self.broadcast(&mut roster, None, &Message::State { id, state });
    }

    /// Whether a member can take over from a primary whose event loop has been silent for `max_silence`: one that would
    /// stand for election, and whose process runs.
    #[must_use]
    pub fn has_successor(&self, max_silence: Duration) -> bool {
        let lively = LIVELY.min(max_silence);
        self.roster().members.values().any(|entry| {
            entry.info.candidate
                && entry.info.state == MemberState::Ready
                && u128::from(entry.info.lag_ms) < lively.as_millis()
                && entry.heard_at.elapsed() < self.limits.beat() * BEATS
        })
    }

    /// Welcomes nobody any more, and takes no new request.
    pub fn stop_taking(&self) {
        // Under the lock: what is taken now is counted.
        let _roster = self.roster();
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Whether a member's gather still waits for answers.
    #[must_use]
    pub fn is_gathering(&self) -> bool {
        !self.roster().gathers.is_empty()
    }

    /// Says the last word on every lane; they close when it is out. Returns how many of our own requests were taken.
    /// `died` tells that this process ends, and not in order.
    pub fn finish(&self, relieved: bool, died: bool) -> u64 {
        self.stop_taking();
        let mut roster = self.roster();
        for entry in roster.members.values_mut() {
            if let Some(lane) = &entry.lane {
                lane.finish(relieved);
            }
            entry.said_bye = true;
            let bye = Message::Bye { taken: entry.taken, died };
            entry.outbox.send(Outgoing::message(&bye, self.epoch));
            if entry.lane.is_none() {
                entry.outbox.finish();
            }
        }
        roster.own_taken
    }

    /// Whether every member has been let go.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roster().members.is_empty()
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
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
        let mut connection = Connection::accepted(stream, self.user)?;
        let message = connection.next_message().await?;
        if self.is_closing() {
            // It tries again, with the next primary.
            return Err(AgentError::Disconnected);
        }
        match message {
            Message::Hello { member, .. } if !member.is_bounded() => {
                let most = MemberInfo::LARGEST;
                let reason = format!("what this process says of itself is longer than {most} bytes");
                warn!("pid {} was refused: what it says of itself is longer than {most} bytes", member.pid);
                connection.send(&Message::Refused { reason }, self.epoch).await
            }
            Message::Hello { protocol, oldest, beat_ms, member, max_payload } => {
                let theirs = Speaks { protocol, oldest: oldest.unwrap_or(protocol) };
                self.control(connection, theirs, beat_ms, member, max_payload).await
            }
            Message::OpenCalls { id, token } => self.calls(connection, id, &token).await,
            other => Err(AgentError::BadFrame(format!("{other:?} where a hello belongs"))),
        }
    }

    async fn calls(&self, mut connection: Connection, id: MemberId, token: &str) -> Result<()> {
        let is_welcome = |entry: &&Entry| entry.token == token && entry.lane.is_none();
        if !self.roster().members.get(&id).is_some_and(|entry| is_welcome(&entry)) {
            return Err(AgentError::BadFrame(format!("no welcome for member {id}")));
        }
        connection.send(&Message::CallsOpen, self.epoch).await?;
        let open = {
            let mut roster = self.roster();
            // Its control connection may have ended meanwhile: then it is no member, and nothing of it is run.
            let entry = roster.members.get_mut(&id).filter(|entry| is_welcome(&&**entry));
            let entry = entry.ok_or(AgentError::Disconnected)?;
            let peer = Peer { calls_us: true, id, max_payload: entry.max_payload, protocol: entry.protocol };
            let end = ControlEnd { outbox: entry.outbox.clone(), signs: Arc::clone(&entry.signs) };
            let open = lane::open(connection.into_parts(), self.epoch, peer, end, &self.context)?;
            entry.lane = Some(Arc::clone(&open.lane));
            open
        };
        if self.is_closing() {
            // It came between: nothing of it was accepted.
            open.lane.finish(false);
        }
        let outcome = open.run().await;
        if self.is_closing() {
            // What was granted on it was said on the control lane until now.
            if let Some(entry) = self.roster().members.get(&id).filter(|entry| entry.said_bye) {
                entry.outbox.finish();
                return outcome;
            }
        }
        // Either connection's end is the member's. What it has said last on its control lane, that it leaves or what it
        // answers, is heard first.
        tokio::time::sleep(HEAR_OUT).await;
        self.leave(id);
        outcome
    }

    fn leave(&self, id: MemberId) {
        let mut roster = self.roster();
        self.remove(&mut roster, id);
    }

    /// Takes a member off the roster and tells everybody. Behind the last word it leaves the tenure, not the group:
    /// there is nothing to tell.
    fn remove(&self, roster: &mut Roster, id: MemberId) {
        let before = roster.alive();
        let Some(entry) = roster.members.remove(&id) else {
            return;
        };
        roster.deaf.remove(&id);
        let is_leaving = entry.info.state == MemberState::Leaving;
        roster.gathers.forget(id, is_leaving);
        self.gathers_changed.notify_one();
        self.forget_metrics(roster, &entry.info);
        if entry.said_bye {
            entry.outbox.finish();
            return;
        }
        // Both of its connections end, and what has arrived on its call lane is read first: nobody calls who is no member.
        entry.outbox.cut();
        if let Some(lane) = &entry.lane {
            lane.hang_up();
        }
        self.context.inbox.tell(Notice::MemberLeft { member: entry.info.clone() });
        self.broadcast(roster, Some(id), &Message::Left { member: entry.info.clone() });
        // Who has joined again before the end of its old connection was seen lives.
        let lives = roster.members.values().any(|other| is_same(&other.info, &entry.info));
        if !is_leaving && !lives {
            roster.deaths.add(entry.info, before, Moment::now());
            // At once: whoever leads next has to know, however soon that is.
            let beat = roster.beat();
            self.broadcast(roster, None, &beat);
        }
    }

    /// Sends to every member but one.
    fn broadcast(&self, roster: &mut Roster, except: Option<MemberId>, message: &Message) {
        self.send_to_all(roster, |id, _| Some(id) != except, &Outgoing::message(message, self.epoch));
    }

    /// Sends to every member but one, without waiting. What members ask of each other, the broker does not take as long as
    /// too much waits for them; only messages of its own may pile up for one that does not read.
    fn send_to_all(&self, roster: &mut Roster, to: impl Fn(MemberId, &Entry) -> bool, frame: &Outgoing) {
        let others = roster.members.iter().filter(|(id, entry)| to(**id, entry));
        let mut deaf = Vec::new();
        for (id, entry) in others {
            if entry.outbox.frames() < MOST_FRAMES {
                entry.outbox.send(frame.clone());
            } else {
                deaf.push(*id);
            }
        }
        for id in deaf {
            self.turn_out(roster, id, "does not read its messages");
        }
    }

    /// Takes a member off the roster that does not do its part, and ends its connections: it joins again when it goes on.
    fn turn_out(&self, roster: &mut Roster, id: MemberId, why: &str) {
        if let Some(entry) = roster.members.get(&id) {
            warn!("member {id} (pid {}) {why}: it is turned out", entry.info.pid);
            self.remove(roster, id);
        }
    }

    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
