//! Leading: a primary serves its members until it hands over, is relieved, or finds its lock worth nothing.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tracing::{debug, info, warn};

use super::{Command, Commands, Membership, CHECK};
use crate::admin::Endpoint;
use crate::error::Result;
use crate::inbox::{Letter, Notice};
use crate::ipc::broker::Broker;
use crate::ipc::connection;
use crate::ipc::frame::Codec;
use crate::ipc::message::MemberState;
use crate::ipc::parcel::Body;
use crate::role::group::socket_path;
use crate::role::guard::Guard;
use crate::role::lock::HeldLock;
use crate::role::{file, handover, Epoch};
use crate::watch::lag::Lag;
use crate::watch::ticks;

/// How long JavaScript may take to say the last word on its lanes; then they are cut without.
const FINISHING: Duration = Duration::from_millis(500);
/// How long a primary that gives its role up waits for its last words to be written.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How long a primary that gives its role up goes on answering what it was asked over HTTP.
const LAST_ANSWERS: Duration = Duration::from_millis(100);

/// Why a tenure ends.
enum End {
    /// This process leaves.
    Leave,
    /// It ends without a goodbye.
    Abandoned,
    /// It was told to hand over.
    HandOver { state: Option<Body>, grace: Duration },
    /// Its event loop is stuck, and another member can take over.
    Relieved,
    /// Its lock protects nothing any more.
    Worthless,
    /// Its broker has failed.
    Failed,
}

/// What is held while leading.
struct Hold<'a> {
    lock: &'a HeldLock,
    guard: &'a Guard,
    /// Which file the socket was when it was made.
    socket: Option<(u64, u64)>,
}

impl Hold<'_> {
    /// Whether the socket's path still leads to our socket. A process that may not enter the folder any more, because it
    /// has changed its user, can't tell.
    fn has_socket(&self, path: &Path) -> bool {
        let is_hidden = |error: io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        identity(path) == self.socket || std::fs::symlink_metadata(path).is_err_and(is_hidden)
    }

    /// Removes the socket's file, if it is still ours and the lock protects it: nobody listens on it any more.
    fn remove_socket(&self, path: &Path) {
        if self.socket.is_some() && self.lock.leads_to_path() && self.has_socket(path) {
            if let Err(error) = file::remove(path) {
                debug!("{} stays behind: {error}", path.display());
            }
        }
    }
}

impl Membership {
    pub(super) async fn lead(
        &mut self,
        mut lock: HeldLock,
        guard: &Guard,
        commands: &mut Commands,
    ) -> Result<ControlFlow<()>> {
        // Whoever connects is answered when the epoch is raised, and not before.
        let listener = connection::listen(&socket_path(&self.folder))?;
        let socket = identity(&socket_path(&self.folder));
        let raised = lock.raise_epoch();
        let hold = Hold { lock: &lock, guard, socket };
        let epoch = match raised {
            Ok(epoch) => epoch,
            Err(error) => {
                hold.remove_socket(&socket_path(&self.folder));
                return Err(error);
            }
        };
        // Nothing can fail any more: whoever fails before leaves it for the next.
        let mut untaken = handover::take(&self.folder, epoch, self.context.max_payload).and_then(handed_over);
        let legacy = std::mem::take(&mut self.legacy);
        let broker = Broker::new(epoch, self.me.clone(), self.context.clone(), self.manners, legacy);
        broker.keep_metrics(&self.folder, self.metrics_grace, self.shortcuts.ask.clone());
        let broker = Arc::new(broker);
        info!("pid {} is primary of {} in epoch {epoch}", self.me.pid, self.folder.display());
        self.tell_elected(Notice::Elected { epoch, id: broker.id(), dead: broker.dead() }, untaken.clone());
        let mut serving = tokio::spawn({
            let broker = Arc::clone(&broker);
            async move { broker.serve(&listener).await }
        });
        let endpoint =
            self.admin.as_ref().map(|admin| Endpoint::open(Arc::clone(admin), Arc::clone(&broker)));
        let mut end = tokio::select! {
            end = self.reign(epoch, &broker, &hold, &mut untaken, commands) => end,
            _ = &mut serving => {
                warn!("the broker of epoch {epoch} has failed, which is a mistake in @midwayjs/process-agent");
                End::Failed
            }
        };
        let mut leaves = matches!(end, End::Leave | End::Abandoned);
        if let End::HandOver { grace, .. } = &end {
            leaves = self.linger(epoch, &broker, *grace, commands).await.is_break();
        }
        if let Some(endpoint) = endpoint {
            // The next primary finds the port free.
            let is_dying = matches!(end, End::Abandoned);
            endpoint.close(if is_dying { Duration::ZERO } else { LAST_ANSWERS }).await;
        }
        if lock.leads_to_path() {
            broker.leave_metrics(leaves);
        }
        let taken = broker.finish(matches!(end, End::Relieved), matches!(end, End::Abandoned));
        self.legacy = broker.legacy();
        // JavaScript hears it before anybody else can become primary.
        self.inbox().tell(Notice::Leaderless { written: taken, taken: Some(taken) });
        self.say_last_words(&broker).await;
        if !serving.is_finished() {
            serving.abort();
            let _ = serving.await;
        }
        let state = match &mut end {
            End::HandOver { state, .. } => state.take().or(untaken),
            End::Leave | End::Abandoned => untaken,
            // It may be what got the event loop stuck; or there is no folder to leave it in.
            End::Relieved | End::Worthless | End::Failed => None,
        };
        if let Some(state) = state {
            self.leave_state(epoch, &state);
        }
        hold.remove_socket(&socket_path(&self.folder));
        // The lock is freed last: the next primary may start only when nobody reaches this one any more.
        drop(lock);
        Ok(if leaves { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// `untaken` is what the previous primary has left, until JavaScript has taken it over.
    async fn reign(
        &mut self,
        epoch: Epoch,
        broker: &Broker,
        hold: &Hold<'_>,
        untaken: &mut Option<Body>,
        commands: &mut Commands,
    ) -> End {
        let mut check = ticks(CHECK);
        let limits = self.manners.limits;
        let max_silence = limits.max_silence;
        let mut beats = ticks(limits.beat());
        let mut lag = Lag::new(limits.max_lag, limits.beat(), Instant::now());
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Ready) => {
                        self.me.state = MemberState::Ready;
                        lag.look(self.inbox(), Instant::now());
                        broker.set_lag(lag.silence(), lag.is_stuck());
                        broker.set_state(MemberState::Ready);
                    }
                    Some(Command::TookOver(of)) => {
                        if of == epoch {
                            *untaken = None;
                        }
                    }
                    Some(Command::ListMembers(request)) => {
                        self.inbox().tell(Notice::Members { request, members: broker.members() });
                    }
                    Some(Command::Parcel(of, said)) if of == epoch => broker.take_own(said.0, said.1),
                    // Of an earlier tenure: our JavaScript is about to hear of its end, and asks again.
                    Some(Command::Parcel(..) | Command::LanesFinished) => {}
                    Some(Command::HandOver { state, grace }) => {
                        self.stop_standing();
                        return End::HandOver { state, grace };
                    }
                    Some(Command::AskHealth(request)) => self.tell_health(broker, request),
                    Some(Command::Leave) => return End::Leave,
                    Some(Command::Abandon) | None => return End::Abandoned,
                },
                () = async {
                    tokio::select! {
                        _ = beats.tick() => {}
                        () = tokio::time::sleep_until(lag.next_look().into()) => {}
                    }
                } => {
                    lag.look(self.inbox(), Instant::now());
                    let silence = lag.silence();
                    broker.set_lag(silence, lag.is_stuck());
                    let is_too_long = silence >= max_silence && !self.inbox().event_loop().is_inspected();
                    if is_too_long && broker.has_successor(max_silence) {
                        warn!(
                            "the event loop of the primary, pid {}, has been silent for {} ms: epoch {epoch} ends here",
                            self.me.pid,
                            silence.as_millis()
                        );
                        return End::Relieved;
                    }
                    continue;
                }
                _ = check.tick() => self.tell_if_locked_out(),
                () = hold.guard.knocked() => {}
            }
            if !hold.lock.leads_to_path() || !hold.has_socket(&socket_path(&self.folder)) {
                warn!(
                    "the folder {} was removed or replaced: epoch {epoch} ends here",
                    self.folder.display()
                );
                return End::Worthless;
            }
        }
    }

    /// Lets gathers that are open come to their end, for `grace`; new ones go to the next primary. Then lets JavaScript
    /// say the last word on its lanes. Breaks when it is told to leave: then nothing is waited for.
    async fn linger(
        &mut self,
        epoch: Epoch,
        broker: &Broker,
        grace: Duration,
        commands: &mut Commands,
    ) -> ControlFlow<()> {
        broker.stop_taking();
        let mut until = tokio::time::Instant::now() + grace;
        let mut finishing = false;
        loop {
            if !finishing && (!broker.is_gathering() || tokio::time::Instant::now() >= until) {
                finishing = true;
                until = tokio::time::Instant::now() + FINISHING;
                self.inbox().tell(Notice::Finishing);
            }
            let soon = until.min(tokio::time::Instant::now() + Duration::from_millis(5));
            tokio::select! {
                () = tokio::time::sleep_until(soon) => if finishing && soon == until {
                    return ControlFlow::Continue(());
                },
                command = commands.recv() => match command {
                    Some(Command::Parcel(of, said)) if of == epoch => broker.take_own(said.0, said.1),
                    Some(Command::ListMembers(request)) => {
                        self.inbox().tell(Notice::Members { request, members: broker.members() });
                    }
                    Some(Command::AskHealth(request)) => self.tell_health(broker, request),
                    Some(Command::LanesFinished) => return ControlFlow::Continue(()),
                    Some(Command::Leave | Command::Abandon) | None => return ControlFlow::Break(()),
                    Some(
                        Command::Ready | Command::TookOver(_) | Command::Parcel(..) | Command::HandOver { .. },
                    ) => {}
                },
            }
        }
    }

    fn tell_health(&self, broker: &Broker, request: u32) {
        self.inbox().tell(Notice::Health { request, members: broker.standings() });
    }

    async fn say_last_words(&self, broker: &Broker) {
        let until = Instant::now() + LAST_WORDS;
        while !(broker.is_empty() && self.context.lanes.is_empty()) && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The state's codec stands before it, in one byte.
    fn leave_state(&self, epoch: Epoch, state: &Body) {
        let bytes = [&[state.codec as u8][..], &state.bytes].concat();
        if let Err(error) = handover::leave(&self.folder, epoch, &bytes) {
            warn!("the state for the next primary can't be left in {}: {error}", self.folder.display());
        }
    }

    fn tell_elected(&self, notice: Notice, state: Option<Body>) {
        match state {
            Some(body) => self.inbox().post(Letter { notice, body, expires: None }),
            None => self.inbox().tell(notice),
        }
    }
}

/// What [`Membership::leave_state`] has left.
fn handed_over(bytes: Vec<u8>) -> Option<Body> {
    let codec = Codec::try_from(*bytes.first()?).ok()?;
    let is_whole = codec == Codec::Bytes || std::str::from_utf8(&bytes[1..]).is_ok();
    is_whole.then(|| Body { codec, bytes: Bytes::from(bytes).slice(1..) })
}

/// Which file a path leads to: a socket that was removed can't be connected to any more.
///
/// # Platform-specific behaviour
/// Windows: `None`; a named pipe can't be removed.
fn identity(path: &Path) -> Option<(u64, u64)> {
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
