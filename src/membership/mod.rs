//! The life of a member: it looks for a primary or becomes one, leads or follows, and looks again.
//!
//! ```text
//!            +---------------------------------------------+
//!            v                                             |
//!        seeking -- lock held by us --> leading -- handed over, relieved, or the lock is worth nothing
//!            |                                             |
//!            +----- primary found ----> following -- it is gone
//! ```
//!
//! There is nothing to agree on: who holds the group's lock leads, and everybody else tries the lock again as soon as
//! the connection to the primary ends. The kernel ends both when the primary dies.

mod follow;
mod lead;
mod seek;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::admin::Admin;
use crate::error::AgentError;
use crate::inbox::{Inbox, Notice};
use crate::ipc::ask::Shortcuts;
use crate::ipc::client::{Following, Manners};
use crate::ipc::deaths::Legacy;
use crate::ipc::lane::LaneContext;
use crate::ipc::message::{MemberInfo, MemberState};
use crate::ipc::parcel::{Body, Parcel};
use crate::role::guard::Guard;
use crate::role::lock::HeldLock;
use crate::role::{folder, metrics_file, stale, Epoch};

/// How long a seeker pauses after an error that trying again is unlikely to mend.
const TROUBLED: Duration = Duration::from_secs(1);

/// How often a primary checks that the path still leads to the file that it has locked, and a member that can change its
/// user whether it has.
const CHECK: Duration = Duration::from_secs(1);

/// What a member is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Its own start-up has finished; if it is primary, what it has taken over as well.
    Ready,
    /// What the primary before this epoch has left is taken over: it is not passed on as it was any more.
    TookOver(Epoch),
    /// Tell who is in the group.
    ListMembers(u32),
    /// Something for other members, of the tenure with this epoch.
    Parcel(Epoch, Box<(Parcel, Body)>),
    /// Hand over, if primary, and never be a candidate again.
    HandOver {
        /// What the next primary shall know.
        state: Option<Body>,
        /// For how long gathers that are open may still be answered.
        grace: Duration,
    },
    /// The last word on every lane was said, as [`Notice::Finishing`] asks for.
    LanesFinished,
    /// How do the members of the group do?
    AskHealth(u32),
    /// Leave the group.
    Leave,
    /// End at once, without a goodbye.
    Abandon,
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
    /// What we speak, and how long we bear a silence.
    pub manners: Manners,
    /// How long members of a previous tenure may take to join again before their metrics are those of the dead.
    pub metrics_grace: Duration,
    /// What is answered over HTTP while we lead, if anything is.
    pub admin: Option<Arc<Admin>>,
    /// Past the inbox.
    pub shortcuts: Shortcuts,
    /// Where lanes and notices go.
    pub context: LaneContext,
    /// What is known of the tenure before.
    pub legacy: Legacy,
    /// What was told last of a trouble that may last: it is told once.
    pub trouble: String,
}

/// What a seeker has found.
enum Found {
    Lead(HeldLock, Guard),
    Follow(Box<Following>),
    Leave,
}

type Commands = mpsc::UnboundedReceiver<Command>;

impl Membership {
    /// Lives until told to leave. Tells JavaScript of everything through the inbox.
    pub async fn live(mut self, mut commands: Commands) {
        let mut has_had_a_primary = false;
        let mut presence = None;
        // Ends with the agent's thread at the latest.
        let mut sweep = Some(stale::sweep(self.runtime_dir.clone(), self.folder.clone(), self.manners.user));
        loop {
            let found = match self.seek(&mut commands, &mut presence, has_had_a_primary).await {
                Ok(found) => found,
                Err(error) => {
                    self.tell_failed(&error);
                    if !has_had_a_primary || self.pause(&mut commands, TROUBLED).await.is_break() {
                        break;
                    }
                    continue;
                }
            };
            if !matches!(found, Found::Leave) {
                // Behind the election, which is not to wait for it.
                sweep.take().map(tokio::spawn);
            }
            let flow = match found {
                Found::Lead(lock, guard) => self.lead(lock, &guard, &mut commands).await,
                Found::Follow(following) => Ok(self.follow(*following, &mut commands).await),
                Found::Leave => Ok(ControlFlow::Break(())),
            };
            match flow {
                Ok(ControlFlow::Break(())) => break,
                Ok(ControlFlow::Continue(())) => {
                    has_had_a_primary = true;
                    self.trouble.clear();
                }
                Err(error) => {
                    self.tell_failed(&error);
                    if !has_had_a_primary {
                        break;
                    }
                    if self.pause(&mut commands, TROUBLED).await.is_break() {
                        break;
                    }
                }
            }
        }
        if let Some(presence) = presence {
            // Whoever has led may have left before the others: its metrics are for one of them.
            presence.leave(&self.folder, || metrics_file::discard(&self.folder));
        }
        self.inbox().tell(Notice::Closed);
    }

    fn inbox(&self) -> &Arc<Inbox> {
        &self.context.inbox
    }

    /// Tells JavaScript of an error that ends the start, or is tried again every second until it goes: once.
    fn tell_failed(&mut self, error: &AgentError) {
        let message = error.to_string();
        if message == self.trouble {
            debug!("still: {message}");
            return;
        }
        self.trouble.clone_from(&message);
        self.inbox().tell(Notice::Failed { code: error.code(), message });
    }

    /// Warns, once, when this process has changed its user and can't come back into its group.
    fn tell_if_locked_out(&mut self) {
        let Some(error) = folder::lost_by_change_of_user(&self.folder, self.manners.user) else { return };
        let message = error.to_string();
        if message != self.trouble {
            warn!("{message}");
            self.trouble = message;
        }
    }

    fn stop_standing(&mut self) {
        self.me.candidate = false;
        self.me.state = MemberState::Leaving;
    }

    /// Waits, unless told to leave.
    async fn pause(&mut self, commands: &mut Commands, delay: Duration) -> ControlFlow<()> {
        let until = tokio::time::Instant::now() + delay;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return ControlFlow::Continue(()),
                command = commands.recv() => match command {
                    Some(Command::Ready) => self.me.state = MemberState::Ready,
                    Some(Command::HandOver { .. }) => self.stop_standing(),
                    // JavaScript asks again when there is a primary.
                    Some(
                        Command::TookOver(_)
                        | Command::ListMembers(_)
                        | Command::AskHealth(_)
                        | Command::Parcel(..)
                        | Command::LanesFinished,
                    ) => {}
                    Some(Command::Leave | Command::Abandon) | None => return ControlFlow::Break(()),
                },
            }
        }
    }
}
