//! A worker's Rust side: joins the group whose primary listens at an address, and follows it until it is gone.

mod talking;

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use talking::{write_out, Talking};
use tokio::sync::{mpsc, Notify};
use tokio::time::timeout;
use tracing::warn;

use crate::error::{AgentError, Result};
use crate::inbox::{Inbox, Letter, Notice};
use crate::ipc::ask::{Ask, Question, Shortcuts};
use crate::ipc::connection::Connection;
use crate::ipc::deaths::Known;
use crate::ipc::flow::budget::held;
use crate::ipc::flow::receiving::{Heard, Receiving, Terms, Weight};
use crate::ipc::flow::signs::Signs;
use crate::ipc::flow::GRANTS;
use crate::ipc::lane::{self, ControlEnd, Lane, LaneContext, OpenLane, Peer};
use crate::ipc::message::{MemberInfo, MemberState, Message, Speaks};
use crate::ipc::outbox::Outbox;
use crate::ipc::parcel::{Body, Parcel};
use crate::ipc::voice::Voice;
use crate::role::user::User;
use crate::role::{Epoch, MemberId};
use crate::time::{millis, Clock, Moment};
use crate::watch::silence::Silence;
use crate::watch::{ticks, Limits};

/// How long one lane is read on when the other has ended before it: a dead peer's socket ends by itself.
const DRAIN: Duration = Duration::from_secs(1);
/// Characters of why a primary refuses us.
const LONGEST_REASON: usize = 1000;
/// How often we say that we run, when the primary does not tell how often it wants to hear it.
const BEAT: Duration = Duration::from_secs(1);

/// What a follower may ask or say on the control lane.
#[derive(Clone, Debug)]
pub enum Say {
    /// Our own state has changed.
    State(MemberState),
    /// Who is in the group?
    ListMembers(u32),
    /// Something of our JavaScript's, of the tenure with this epoch.
    Parcel(Epoch, Box<(Parcel, Body)>),
    /// How do the members of the group do?
    AskHealth(u32),
    /// We leave; notified when it is written.
    Goodbye(Arc<Notify>),
}

/// How a follower is to behave.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// Whose processes we speak with.
    pub user: User,
    /// The protocol's versions that we speak.
    pub speaks: Speaks,
    /// How long a silence we bear.
    pub limits: Limits,
    /// What is done about a frozen primary.
    pub on_frozen: OnFrozen,
    /// For how long a member that died is remembered.
    pub forget_dead: Duration,
}

/// What a follower does about a frozen primary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFrozen {
    /// Nothing: it waits until the primary goes on or dies.
    #[default]
    Wait,
    /// It kills it.
    Kill,
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
    known: Known,
    control: Connection,
    calls: Connection,
    max_payload: usize,
    /// The largest payload that we take on the control lane.
    max_control: usize,
    protocol: u32,
    beat: Duration,
}

/// What is left to say when a tenure has ended.
#[derive(Clone, Debug)]
pub struct Account {
    /// How many of our requests were written.
    pub written: u64,
    /// How many of them a primary that handed over has taken.
    pub taken: Option<u64>,
    /// What we know of the group.
    pub known: Known,
}

impl Account {
    /// Of a tenure that begins.
    #[must_use]
    pub fn new(following: &Following) -> Self {
        Self { written: 0, taken: None, known: following.known.clone() }
    }
}

/// Joins the group at `address` as `me`.
///
/// # Errors
/// [`AgentError::Refused`] when the primary doesn't want us; every other error means that there is nobody to join yet.
pub async fn join(
    address: &Path,
    me: &MemberInfo,
    max_payload: usize,
    manners: Manners,
) -> Result<Following> {
    let mut control = Connection::connect(address, manners.user).await?;
    let speaks = manners.speaks;
    let hello = Message::Hello {
        protocol: speaks.protocol,
        oldest: Some(speaks.oldest),
        beat_ms: u64::try_from(manners.limits.beat().as_millis()).ok(),
        member: me.clone(),
        max_payload,
    };
    control.send(&hello, Epoch(0)).await?;
    let (protocol, beat_ms, id, epoch, primary, token, theirs, known) = match control.next_message().await? {
        Message::Welcome { protocol, beat_ms, id, epoch, primary, token, max_payload, members, dead } => {
            let known = Known::new(primary.clone(), id, members, dead);
            (protocol, beat_ms, id, epoch, primary, token, max_payload, known)
        }
        Message::Refused { reason } => {
            // It goes into errors and logs.
            return Err(AgentError::Refused(reason.chars().take(LONGEST_REASON).collect()));
        }
        other => return Err(AgentError::BadFrame(format!("{other:?} where a welcome belongs"))),
    };
    if speaks.agree(Speaks { protocol, oldest: protocol }).is_none() {
        return Err(AgentError::Refused(format!(
            "the primary (pid {}) speaks protocol {protocol}, this process {speaks}",
            primary.pid
        )));
    }
    if !known.is_bounded() || token.len() > MemberInfo::LARGEST {
        return Err(AgentError::BadFrame("a welcome that tells more of a member than there is".into()));
    }
    let max_control = control.agree(protocol, max_payload);
    let mut calls = Connection::connect(address, manners.user).await?;
    calls.send(&Message::OpenCalls { id, token }, epoch).await?;
    match calls.next_message().await? {
        Message::CallsOpen => {}
        other => return Err(AgentError::BadFrame(format!("{other:?} where an open lane belongs"))),
    }
    let beat = beat_ms.map_or(BEAT, |ms| Duration::from_millis(ms.clamp(20, 60_000)));
    let max_payload = theirs;
    Ok(Following { epoch, id, primary, known, control, calls, max_payload, max_control, protocol, beat })
}

impl Following {
    /// Follows until both connections have ended. The call lane has been read to its end then. `account` counts our
    /// requests, also when this is cancelled.
    ///
    /// # Errors
    /// What ended it; [`AgentError::Disconnected`] when the primary just closed.
    pub async fn follow(
        self,
        context: &LaneContext,
        manners: Manners,
        shortcuts: &Shortcuts,
        said: &mut mpsc::UnboundedReceiver<Say>,
        account: &mut Account,
    ) -> Result<()> {
        let Self { epoch, id, primary, known, mut control, calls, max_payload, max_control, protocol, beat } =
            self;
        let inbox = Arc::clone(&context.inbox);
        let voice = Arc::new(Voice::new(epoch, protocol, &control)?);
        let _entered = shortcuts.voices.enter(&voice);
        let (members, dead) = (known.members(), known.dead());
        inbox.tell(Notice::Following { epoch, id, primary: primary.clone(), members, dead, max_payload });
        let peer = Peer { calls_us: false, id: primary.id, max_payload, protocol };
        let outbox = Outbox::new(protocol, epoch);
        let signs = Arc::new(Signs::default());
        let own = ControlEnd { outbox: outbox.clone(), signs: Arc::clone(&signs) };
        let lane: OpenLane = lane::open(calls.into_parts(), epoch, peer, own, context)?;
        let end = Arc::clone(&lane.lane);
        if primary.state == MemberState::Ready {
            inbox.tell(Notice::PrimaryReady { epoch });
        }
        let Account { written, taken, known } = account;
        let known = RefCell::new(known);
        let (incoming, outward) = control.halves();
        let terms = Terms {
            protocol,
            max_control,
            max_calls: lane::most(context.max_payload),
            budget: context.receive.clone(),
            signs: Arc::clone(&signs),
            outbox: outbox.clone(),
        };
        let receiving = Receiving::new(incoming, terms);
        let ask = &shortcuts.ask;
        let hearing = Hearing {
            inbox: &inbox,
            ask,
            primary: &primary,
            epoch,
            manners,
            taken,
            known: &known,
            outbox: &outbox,
            lane: &end,
            signs: &signs,
            is_old: protocol < GRANTS,
            clock: Clock::of(protocol),
        };
        let limits = manners.limits;
        let talking = Talking { inbox: &inbox, outbox: &outbox, epoch, id, beat, limits, known: &known };
        let talk = async {
            let mut writing = std::pin::pin!(write_out(&outbox, &voice, outward, written));
            let goodbye = tokio::select! {
                outcome = &mut writing => return outcome,
                goodbye = talking.run(said) => goodbye?,
            };
            outbox.finish();
            writing.await?;
            if let Some(is_said) = goodbye {
                is_said.notify_one();
            }
            Ok(())
        };
        let control = async {
            let mut hearing = std::pin::pin!(hearing.run(receiving));
            tokio::select! {
                outcome = &mut hearing => outcome,
                outcome = talk => match outcome {
                    Ok(()) => Ok(()),
                    // The primary has gone; what it said before, its last word too, is still to be heard.
                    Err(error) => timeout(DRAIN, hearing).await.unwrap_or(Err(error)),
                },
            }
        };
        let (mut running, mut control) = (std::pin::pin!(lane.run()), std::pin::pin!(control));
        // When one has ended, there may still be something in the other's socket.
        tokio::select! {
            outcome = &mut running => {
                let last = timeout(DRAIN, control).await;
                outcome.and(last.unwrap_or(Err(AgentError::Disconnected)))
            }
            outcome = &mut control => {
                tokio::select! {
                    _ = timeout(DRAIN, running) => {}
                    // A busy event loop reads the rest when it hears of the end: nobody waits for it.
                    () = end.hung_up() => {}
                }
                outcome
            }
        }
    }
}

/// What a follower hears on the control lane, and what it makes of hearing nothing.
struct Hearing<'a> {
    inbox: &'a Inbox,
    ask: &'a Ask,
    primary: &'a MemberInfo,
    epoch: Epoch,
    manners: Manners,
    taken: &'a mut Option<u64>,
    known: &'a RefCell<&'a mut Known>,
    outbox: &'a Outbox,
    lane: &'a Lane,
    signs: &'a Signs,
    /// The primary knows of no flow control.
    is_old: bool,
    /// By which the primary tells of deadlines.
    clock: Clock,
}

impl Hearing<'_> {
    async fn run(mut self, mut receiving: Receiving<'_>) -> Result<()> {
        let limits = self.manners.limits;
        // The primary was told to beat so often.
        let every = limits.beat();
        let mut looks = ticks(every);
        let mut silence = Silence::new(every, Instant::now());
        let mut seen = self.signs.of_life();
        let mut frozen = false;
        loop {
            let heard = tokio::select! {
                heard = async {
                    if self.is_old {
                        // A busy event loop makes the socket fill up, not our memory.
                        self.inbox.room().await;
                    }
                    receiving.next().await
                } => Some(heard?),
                _ = looks.tick() => None,
            };
            let now = Instant::now();
            let signs = self.signs.of_life();
            if heard.is_some() || signs != seen {
                seen = signs;
                silence.heard(now);
                self.note_silence(None);
                if std::mem::take(&mut frozen) {
                    self.inbox.tell(Notice::PrimaryThawed);
                }
            }
            if let Some(heard) = heard {
                self.understand(heard)?;
                continue;
            }
            if receiving.is_paused() || (self.is_old && !self.inbox.has_room()) {
                // It is we who don't read.
                silence.heard(now);
            }
            let silent = silence.look(now);
            let is_silent = silent >= limits.frozen(every);
            self.note_silence(is_silent.then_some(silent));
            if silent >= limits.max_silence && !frozen {
                frozen = true;
                self.report_frozen(silent);
            }
        }
    }

    /// What the primary is not going to answer, is answered here.
    fn note_silence(&self, silent: Option<Duration>) {
        let mut known = self.known.borrow_mut();
        let unanswered = known.set_silent(silent.map(|silent| Moment::now().before(millis(silent))));
        for request in unanswered {
            if let Some(members) = known.without_primary() {
                self.inbox.tell(Notice::Health { request, members });
            }
        }
    }

    /// What JavaScript is told of what the primary says.
    fn understand(&mut self, heard: Heard) -> Result<()> {
        let message = match heard {
            Heard::Message(message) => message,
            Heard::Parcel(parcel, body, weight) => {
                self.pass_on(parcel, body, weight);
                return Ok(());
            }
            Heard::CallsGranted => return self.lane.granted(),
        };
        self.known.borrow_mut().hear(&message);
        let notice = match message {
            Message::Beat { .. } => return Ok(()),
            Message::Bye { taken, .. } => {
                *self.taken = Some(taken);
                return Ok(());
            }
            Message::State { id, state: MemberState::Ready } if id == self.primary.id => {
                Notice::PrimaryReady { epoch: self.epoch }
            }
            Message::State { id, state } => Notice::MemberState { id, state },
            Message::Joined { member } => Notice::MemberJoined { member },
            Message::Left { member } => Notice::MemberLeft { member },
            Message::Members { request, members } => Notice::Members { request, members },
            Message::Health { request, members } => Notice::Health { request, members },
            other => return Err(AgentError::BadFrame(format!("{other:?} from a primary"))),
        };
        self.inbox.tell(notice);
        Ok(())
    }

    fn pass_on(&self, parcel: Parcel, mut body: Body, weight: Weight) {
        if let Parcel::Collect { scrape, until } = parcel {
            let until = self.clock.hear(until);
            self.ask.ask(Question { epoch: self.epoch, scrape, until }, self.inbox);
            return;
        }
        body.bytes = match weight {
            Weight { permit: Some(permit), .. } => held(body.bytes, permit),
            Weight { counted: 0, .. } => body.bytes,
            Weight { counted, .. } => held(body.bytes, Credit { outbox: self.outbox.clone(), counted }),
        };
        // When nobody waits for it any more.
        let expires =
            if let Parcel::Ask { until, .. } = parcel { Some(self.clock.hear(until)) } else { None };
        self.inbox.post(Letter { expires, ..Letter::of(parcel, body) });
    }

    fn report_frozen(&self, silent: Duration) {
        self.inbox.tell(Notice::PrimaryFrozen { silent_ms: millis(silent) });
        // A thread of our own process can't be frozen while we run.
        if self.manners.on_frozen == OnFrozen::Kill && self.primary.pid != std::process::id() {
            kill(self.primary.pid);
        }
    }
}

/// Gives its sender credit for a parcel, when JavaScript has taken it or is not going to.
struct Credit {
    outbox: Outbox,
    counted: usize,
}

impl Drop for Credit {
    fn drop(&mut self) {
        self.outbox.credit_back(self.counted);
    }
}

/// Kills the frozen primary: its connection is open, so the pid is still its own.
///
/// # Platform-specific behaviour
/// Windows: nothing; a process there can't be stopped by a signal either.
fn kill(pid: u32) {
    #[cfg(unix)]
    {
        let target = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        let killed =
            target.map(|target| rustix::process::kill_process(target, rustix::process::Signal::KILL));
        match killed {
            Some(Ok(())) => {
                warn!("the frozen primary, pid {pid}, was killed (processAgent.primary.onFrozen)");
            }
            Some(Err(error)) => warn!("the frozen primary, pid {pid}, can't be killed: {error}"),
            None => warn!("{pid} is no pid: nothing was killed"),
        }
    }
    #[cfg(not(unix))]
    warn!("the frozen primary, pid {pid}, is not killed: that is not supported on this platform");
}
