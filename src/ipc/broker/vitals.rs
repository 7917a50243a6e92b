//! How the members do: what a broker sees of them, and says when it is asked.

use std::time::{Duration, Instant};

use tracing::warn;

use super::{Broker, Roster};
use crate::ipc::deaths::{Death, Legacy};
use crate::ipc::health::Standing;
use crate::ipc::message::{MemberInfo, MemberState, Message};
use crate::role::MemberId;
use crate::time::{millis, now_ms};
use crate::watch::ticks;

impl Broker {
    /// Everybody, the primary first.
    #[must_use]
    pub fn members(&self) -> Vec<MemberInfo> {
        self.roster().everybody().cloned().collect()
    }

    /// Everybody, the primary first, and the dead last.
    #[must_use]
    pub fn standings(&self) -> Vec<Standing> {
        let mut roster = self.roster();
        let dead: Vec<_> = roster.dead().iter().map(Standing::from).collect();
        let primary = roster.vitals.standing(roster.primary.clone());
        let others = roster.members.values().map(|entry| entry.vitals.standing(entry.info.clone()));
        std::iter::once(primary).chain(others).chain(dead).collect()
    }

    /// Who is gone without having said so.
    #[must_use]
    pub fn dead(&self) -> Vec<MemberInfo> {
        self.roster().dead().iter().map(|death| death.member.clone()).collect()
    }

    /// How the primary's own event loop does.
    pub fn set_lag(&self, silence: Duration, is_stuck: bool) {
        let mut roster = self.roster();
        let state = roster.primary.state;
        roster.primary.lag_ms = millis(silence);
        if roster.vitals.is_stuck() != is_stuck {
            roster.vitals.set_stuck(is_stuck, state, now_ms().saturating_sub(millis(silence)));
        }
    }

    /// What the next tenure has to know, if this process leads it, too.
    #[must_use]
    pub fn legacy(&self) -> Legacy {
        Legacy { dead: self.roster().dead().to_vec(), ..Legacy::default() }
    }

    /// A member has said how its event loop does.
    pub(super) fn note_lag(&self, id: MemberId, lag_ms: u64, is_stuck: bool) {
        if let Some(entry) = self.roster().members.get_mut(&id) {
            entry.info.lag_ms = lag_ms;
            if entry.vitals.is_stuck() != is_stuck {
                entry.vitals.set_stuck(is_stuck, entry.info.state, now_ms().saturating_sub(lag_ms));
            }
        }
    }

    /// A member has said anything at all.
    pub(super) fn note_heard(&self, id: MemberId) {
        if let Some(entry) = self.roster().members.get_mut(&id) {
            let now = Instant::now();
            entry.heard_at = now;
            entry.silence.heard(now);
            if entry.vitals.is_frozen() {
                entry.vitals.set_frozen(false, entry.info.state, now_ms());
            }
        }
    }

    /// Looks, until cancelled, for members of which nothing is heard.
    pub(super) async fn watch_members(&self) {
        let every = self.limits.beat();
        let mut looks = ticks(every);
        loop {
            looks.tick().await;
            self.look_for_frozen(Instant::now());
        }
    }

    fn look_for_frozen(&self, now: Instant) {
        let limit = self.limits.frozen(self.limits.beat());
        for entry in self.roster().members.values_mut() {
            let silence = entry.silence.look(now);
            if silence >= limit && !entry.vitals.is_frozen() {
                let since = now_ms().saturating_sub(millis(silence));
                entry.vitals.set_frozen(true, entry.info.state, since);
                // A member that is still starting may have no time for us yet.
                if entry.info.state != MemberState::Starting {
                    warn!(
                        "member {} (pid {}) has said nothing for {} ms: its process is frozen",
                        entry.info.id,
                        entry.info.pid,
                        silence.as_millis()
                    );
                }
            }
        }
    }

    /// What the primary says of itself, and of the dead, now and then.
    pub(super) fn beat(&self) -> Message {
        self.roster().beat()
    }
}

impl Roster {
    /// The primary first.
    pub(super) fn everybody(&self) -> impl Iterator<Item = &MemberInfo> {
        std::iter::once(&self.primary).chain(self.members.values().map(|entry| &entry.info))
    }

    /// How many members there are that have not said that they leave.
    pub(super) fn alive(&self) -> usize {
        let others = self.members.values().filter(|entry| entry.info.state != MemberState::Leaving).count();
        others + usize::from(self.primary.state != MemberState::Leaving)
    }

    pub(super) fn dead(&mut self) -> &[Death] {
        let alive = self.alive();
        self.deaths.now(alive, now_ms())
    }

    pub(super) fn beat(&mut self) -> Message {
        let dead = self.dead().to_vec();
        Message::Beat { lag_ms: self.primary.lag_ms, is_stuck: self.vitals.is_stuck(), dead }
    }
}
