//! Seeking: a member without a primary tries to become one, and to find one, in turn.

use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::{Commands, Found, Membership};
use crate::error::{AgentError, Result};
use crate::inbox::Question;
use crate::ipc::client;
use crate::role::folder;
use crate::role::group::socket_path;
use crate::role::guard::{self, Attempt, Guard};
use crate::role::lock;
use crate::role::presence::Presence;
use crate::watch::event_loop::Watch;

/// How long a candidate that is not preferred leaves the lock to one that is, when there has been no primary yet.
const GRACE: Duration = Duration::from_millis(200);
/// For how long a seeker tries again every other millisecond.
const EAGER: Duration = Duration::from_millis(150);
/// How long a seeker pauses at the most between tries.
const PATIENT: Duration = Duration::from_millis(25);
/// How long the holder of the lock waits for the guard name, which a process of this user holds.
const GUARD_HELD: Duration = Duration::from_secs(2);
/// How long it waits for the name while nothing shows that a process of this user holds it. Between binding and listening
/// lie microseconds.
const GUARD_UNKNOWN: Duration = Duration::from_millis(60);
/// A candidate whose event loop has been silent for so long, or so long that it would be relieved at once, does not stand
/// for election.
const STUCK: Duration = Duration::from_secs(1);
/// How often the event loop is looked at, at the least; more than a handshake with a primary that doesn't answer.
const LOOK: Duration = Duration::from_secs(1);

impl Membership {
    pub(super) async fn seek(
        &mut self,
        commands: &mut Commands,
        presence: &mut Option<Presence>,
        had_primary: bool,
    ) -> Result<Found> {
        let began = Instant::now();
        let address = socket_path(&self.folder);
        let mut delay = Duration::from_millis(1);
        let mut last_trouble = String::new();
        let mut watch = Watch::new(LOOK);
        let stuck = STUCK.min(self.manners.limits.max_silence);
        self.prepare_folder()?;
        loop {
            // A process whose JavaScript hangs would lead a group that nobody can call.
            let is_stuck =
                self.inbox().look(&mut watch, Instant::now(), Question::AndForDebugger(Duration::ZERO))
                    >= stuck;
            let left_to_others =
                self.wait_for_preferred && !self.preferred && !had_primary && began.elapsed() < GRACE;
            let is_present = self.is_present(presence);
            if self.me.candidate && !left_to_others && !is_stuck && is_present {
                if let Some(found) = self.try_to_lead(commands).await? {
                    return Ok(found);
                }
            }
            // A frozen primary takes connections and never answers: commands are heard meanwhile.
            let me = self.me.clone();
            let joined = tokio::select! {
                joined = client::join(&address, &me, self.context.max_payload, self.manners) => joined,
                _ = self.pause(commands, Duration::from_secs(3600)) => return Ok(Found::Leave),
            };
            match joined {
                Ok(following) => return Ok(Found::Follow(Box::new(following))),
                // It asks again after a while: another primary may take it.
                Err(error @ AgentError::Refused(_)) => return Err(error),
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

    /// Whether nobody clears the folder up meanwhile, as far as can be known. From now on nobody does before we leave.
    fn is_present(&self, presence: &mut Option<Presence>) -> bool {
        if presence.as_ref().is_some_and(|held| held.is_in(&self.folder)) {
            return true;
        }
        let Ok(entered) = Presence::enter(&self.folder) else {
            // Then nobody can know that he is the last one, and nobody clears up.
            *presence = None;
            return true;
        };
        *presence = entered;
        presence.is_some()
    }

    fn prepare_folder(&self) -> Result<()> {
        let user = self.manners.user;
        folder::prepare(&self.runtime_dir, &self.folder, user)
            .map_err(|error| folder::lost_by_change_of_user(&self.folder, user).unwrap_or(error))
    }

    async fn try_to_lead(&mut self, commands: &mut Commands) -> Result<Option<Found>> {
        let lock = match lock::try_hold(&self.folder) {
            Ok(lock) => lock,
            Err(AgentError::Lock { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                // The folder was taken away: it is made anew, or the reason why it can't be is the error to report.
                self.prepare_folder()?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let Some(lock) = lock else { return Ok(None) };
        let began = Instant::now();
        let mut delay = Duration::from_millis(2);
        let mut is_ours = false;
        let mut unknown_since = None;
        loop {
            match guard::try_hold(&self.folder, self.manners.user) {
                Attempt::Held(guard) => return Ok(Some(Found::Lead(lock, guard))),
                Attempt::Busy => (is_ours, unknown_since) = (true, None),
                Attempt::Full => unknown_since = None,
                Attempt::Unknown => unknown_since = unknown_since.or_else(|| Some(Instant::now())),
            }
            let is_stranger = unknown_since.is_some_and(|since| since.elapsed() > GUARD_UNKNOWN);
            if is_stranger || began.elapsed() > GUARD_HELD {
                if is_ours && !is_stranger {
                    let reason = "another process of this user leads this group and sees another folder at this path \
                                  (another /tmp, as systemd's PrivateTmp makes one), or is frozen; give both the same \
                                  processAgent.runtimeDir, or different group names";
                    return Err(AgentError::RuntimeDir { path: self.folder.clone(), reason: reason.into() });
                }
                warn!("the group goes without its guard name: somebody unknown holds it");
                return Ok(Some(Found::Lead(lock, Guard::none(self.manners.user))));
            }
            // The holder is dying, or its folder was removed and it is about to notice.
            if self.pause(commands, delay).await.is_break() {
                return Ok(Some(Found::Leave));
            }
            if !lock.leads_to_path() {
                return Ok(None);
            }
            delay = (delay * 2).min(PATIENT);
        }
    }
}
