//! The life of a member: it looks for a primary or becomes one, leads or follows, and looks again.
//!
//! ```text
//!            +---------------------------------------------+
//!            v                                             |
//!        seeking -- lock held by us --> leading -- handed over, or the lock is worth nothing
//!            |                                             |
//!            +----- primary found ----> following -- it is gone
//! ```
//!
//! There is nothing to agree on: who holds the group's lock leads, and everybody else tries the lock again as soon as
//! the connection to the primary ends. The kernel ends both when the primary dies.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use crate::error::{AgentError, Result};
use crate::inbox::{Inbox, Notice};
use crate::ipc::broker::Broker;
use crate::ipc::client::{self, Following, Say};
use crate::ipc::connection;
use crate::ipc::lane::LaneContext;
use crate::ipc::message::{MemberInfo, MemberState};
use crate::role::group::socket_path;
use crate::role::guard::{self, Attempt, Guard};
use crate::role::lock::{self, HeldLock};
use crate::role::{folder, Epoch};

/// How long a candidate that is not preferred leaves the lock to one that is, when there has been no primary yet.
const GRACE: Duration = Duration::from_millis(200);
/// How often a primary checks that the path still leads to the file that it has locked.
const CHECK: Duration = Duration::from_secs(1);
/// For how long a seeker tries again every other millisecond.
const EAGER: Duration = Duration::from_millis(150);
/// How long a seeker pauses at the most between tries.
const PATIENT: Duration = Duration::from_millis(25);
/// How long a seeker pauses after an error that trying again is unlikely to mend.
const TROUBLED: Duration = Duration::from_secs(1);
/// How long a primary that hands over waits for its last words to be written.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How long the holder of the lock waits for the guard name.
const GUARD_HELD: Duration = Duration::from_secs(2);

/// What a member is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Its own start-up has finished.
    Ready,
    /// Tell who is in the group.
    ListMembers(u32),
    /// Hand over, if primary, and never be a candidate again.
    HandOver,
    /// Leave the group.
    Leave,
}

/// What a member is made of.
#[derive(Debug)]
pub struct Membership {
    /// The folder of all groups.
    pub runtime_dir: PathBuf,
    /// The group's folder in it.
    pub folder: PathBuf,
    /// Who we are.
    pub me: MemberInfo,
    /// We go first in the election.
    pub preferred: bool,
    /// Somebody else may be preferred.
    pub wait_for_preferred: bool,
    /// Where lanes and notices go.
    pub context: LaneContext,
}

/// What a seeker has found.
enum Found {
    Lead(HeldLock, Guard),
    Follow(Box<Following>),
    Leave,
}

impl Membership {
    /// Lives until told to leave. Tells JavaScript of everything through the inbox.
    pub async fn live(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut has_had_a_primary = false;
        loop {
            let found = match self.seek(&mut commands, has_had_a_primary).await {
                Ok(found) => found,
                Err(error) => {
                    self.inbox().tell(Notice::Failed { code: error.code(), message: error.to_string() });
                    if !has_had_a_primary || self.pause(&mut commands, TROUBLED).await.is_break() {
                        break;
                    }
                    continue;
                }
            };
            let flow = match found {
                Found::Lead(lock, guard) => self.lead(lock, &guard, &mut commands).await,
                Found::Follow(following) => Ok(self.follow(*following, &mut commands).await),
                Found::Leave => Ok(ControlFlow::Break(())),
            };
            match flow {
                Ok(ControlFlow::Break(())) => break,
                Ok(ControlFlow::Continue(())) => has_had_a_primary = true,
                Err(error) => {
                    self.inbox().tell(Notice::Failed { code: error.code(), message: error.to_string() });
                    if !has_had_a_primary {
                        break;
                    }
                    if self.pause(&mut commands, TROUBLED).await.is_break() {
                        break;
                    }
                }
            }
        }
        self.inbox().tell(Notice::Closed);
    }

    fn inbox(&self) -> &Arc<Inbox> {
        &self.context.inbox
    }

    // ----- seeking

    async fn seek(
        &mut self,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        had_primary: bool,
    ) -> Result<Found> {
        let began = Instant::now();
        let address = socket_path(&self.folder);
        let mut delay = Duration::from_millis(1);
        let mut last_trouble = String::new();
        folder::prepare(&self.runtime_dir, &self.folder)?;
        loop {
            let left_to_others =
                self.wait_for_preferred && !self.preferred && !had_primary && began.elapsed() < GRACE;
            if self.me.candidate && !left_to_others {
                if let Some((lock, guard)) = self.try_to_lead(commands).await? {
                    return Ok(Found::Lead(lock, guard));
                }
            }
            // A frozen primary takes connections and never answers: commands are heard meanwhile.
            let me = self.me.clone();
            let joined = tokio::select! {
                joined = client::join(&address, &me, self.context.max_payload) => joined,
                _ = self.pause(commands, Duration::from_secs(3600)) => return Ok(Found::Leave),
            };
            match joined {
                Ok(following) => return Ok(Found::Follow(Box::new(following))),
                Err(error @ AgentError::Refused(_)) if !had_primary => return Err(error),
                Err(error) => {
                    let trouble = error.to_string();
                    if trouble != last_trouble {
                        debug!("no primary to join yet: {trouble}");
                        last_trouble = trouble;
                    }
                }
            }
            if self.pause(commands, delay).await.is_break() {
                return Ok(Found::Leave);
            }
            delay = if began.elapsed() < EAGER { Duration::from_millis(2) } else { (delay * 2).min(PATIENT) };
        }
    }

    async fn try_to_lead(
        &mut self,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Result<Option<(HeldLock, Guard)>> {
        let lock = match lock::try_hold(&self.folder) {
            Ok(lock) => lock,
            Err(AgentError::Lock { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                // The folder was taken away: it is made anew, or the reason why it can't be is the error to report.
                folder::prepare(&self.runtime_dir, &self.folder)?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let Some(lock) = lock else { return Ok(None) };
        let began = Instant::now();
        let mut delay = Duration::from_millis(2);
        let mut is_ours = false;
        loop {
            match guard::try_hold(&self.folder) {
                Attempt::Held(guard) => return Ok(Some((lock, guard))),
                Attempt::Busy => is_ours = true,
                Attempt::Unknown => {}
            }
            if began.elapsed() > GUARD_HELD {
                if is_ours {
                    let reason = "another process of this user leads this group and sees another folder at this path \
                                  (another /tmp, as systemd's PrivateTmp makes one), or is frozen; give both the same \
                                  processAgent.runtimeDir, or different group names";
                    return Err(AgentError::RuntimeDir { path: self.folder.clone(), reason: reason.into() });
                }
                warn!("the group goes without its guard name: somebody unknown holds it");
                return Ok(Some((lock, Guard::none())));
            }
            // The holder is dying, or its folder was removed and it is about to notice.
            if self.pause(commands, delay).await.is_break() || !lock.leads_to_path() {
                return Ok(None);
            }
            delay = (delay * 2).min(PATIENT);
        }
    }

    /// Waits, unless told to leave.
    async fn pause(
        &mut self,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        delay: Duration,
    ) -> ControlFlow<()> {
        let until = tokio::time::Instant::now() + delay;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return ControlFlow::Continue(()),
                command = commands.recv() => match command {
                    Some(Command::Ready) => self.me.state = MemberState::Ready,
                    Some(Command::HandOver) => self.stop_standing(),
                    // JavaScript asks again when there is a primary.
                    Some(Command::ListMembers(_)) => {}
                    Some(Command::Leave) | None => return ControlFlow::Break(()),
                },
            }
        }
    }

    fn stop_standing(&mut self) {
        self.me.candidate = false;
        self.me.state = MemberState::Leaving;
    }

    // ----- leading

    async fn lead(
        &mut self,
        mut lock: HeldLock,
        guard: &Guard,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Result<ControlFlow<()>> {
        let epoch = lock.raise_epoch()?;
        let listener = connection::listen(&socket_path(&self.folder))?;
        let broker = Arc::new(Broker::new(epoch, self.me.clone(), self.context.clone()));
        info!("pid {} is primary of {} in epoch {epoch}", self.me.pid, self.folder.display());
        self.inbox().tell(Notice::Elected { epoch, id: broker.id() });
        let socket = identity(&socket_path(&self.folder));
        let mut serving = tokio::spawn({
            let broker = Arc::clone(&broker);
            async move { broker.serve(&listener).await }
        });
        let flow = tokio::select! {
            flow = self.reign(epoch, &broker, (&lock, socket), guard, commands) => flow,
            _ = &mut serving => {
                warn!("the broker of epoch {epoch} has failed, which is a mistake in @midwayjs/process-agent");
                ControlFlow::Continue(())
            }
        };
        // JavaScript hears it before anybody else can become primary.
        self.inbox().tell(Notice::Leaderless);
        self.hand_over(&broker).await;
        if !serving.is_finished() {
            serving.abort();
            let _ = serving.await;
        }
        // The lock is freed last: the next primary may start only when nobody reaches this one any more.
        drop(lock);
        Ok(flow)
    }

    async fn reign(
        &mut self,
        epoch: Epoch,
        broker: &Broker,
        (lock, socket): (&HeldLock, Option<(u64, u64)>),
        guard: &Guard,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> ControlFlow<()> {
        let mut check = tokio::time::interval(CHECK);
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Ready) => {
                        self.me.state = MemberState::Ready;
                        broker.set_state(MemberState::Ready);
                    }
                    Some(Command::ListMembers(request)) => {
                        self.inbox().tell(Notice::Members { request, members: broker.members() });
                    }
                    Some(Command::HandOver) => {
                        self.stop_standing();
                        return ControlFlow::Continue(());
                    }
                    Some(Command::Leave) | None => return ControlFlow::Break(()),
                },
                _ = check.tick() => {}
                () = guard.knocked() => {}
            }
            if !lock.leads_to_path() || identity(&socket_path(&self.folder)) != socket {
                warn!(
                    "the folder {} was removed or replaced: epoch {epoch} ends here",
                    self.folder.display()
                );
                return ControlFlow::Continue(());
            }
        }
    }

    async fn hand_over(&self, broker: &Broker) {
        let lanes = broker.finish();
        let open = || lanes.iter().any(|lane| self.context.lanes.get(lane.id.0).is_some());
        let until = Instant::now() + LAST_WORDS;
        while open() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    // ----- following

    async fn follow(
        &mut self,
        following: Following,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> ControlFlow<()> {
        let epoch = following.epoch;
        debug!("pid {} follows pid {} in epoch {epoch}", self.me.pid, following.primary.pid);
        let (say, mut said) = mpsc::unbounded_channel();
        // It may have changed since the hello; saying it again does no harm.
        let _ = say.send(Say::State(self.me.state));
        let context = self.context.clone();
        let mut followed = std::pin::pin!(following.follow(&context, &mut said));
        loop {
            tokio::select! {
                outcome = &mut followed => {
                    match outcome {
                        Ok(()) | Err(AgentError::Disconnected) => debug!("the primary of epoch {epoch} is gone"),
                        Err(error) => debug!("the primary of epoch {epoch} is gone: {error}"),
                    }
                    self.inbox().tell(Notice::Leaderless);
                    return ControlFlow::Continue(());
                }
                command = commands.recv() => {
                    let message = match command {
                        Some(Command::Ready) => {
                            self.me.state = MemberState::Ready;
                            Say::State(MemberState::Ready)
                        }
                        Some(Command::HandOver) => {
                            self.stop_standing();
                            Say::State(MemberState::Leaving)
                        }
                        Some(Command::ListMembers(request)) => Say::ListMembers(request),
                        Some(Command::Leave) | None => return ControlFlow::Break(()),
                    };
                    // It is received as long as we follow.
                    let _ = say.send(message);
                }
            }
        }
    }
}

/// Which file a path leads to: a socket that was removed can't be connected to any more.
///
/// # Platform-specific behaviour
/// Windows: `None`; a named pipe can't be removed.
fn identity(path: &std::path::Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        std::fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}
