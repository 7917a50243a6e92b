//! How the members do: what a broker sees of them, and says when it is asked.

use std::time::{Duration, Instant};

use tracing::warn;

use super::routes::MUCH;
use super::{Broker, Entry, Roster};
use crate::ipc::deaths::{Death, Legacy};
use crate::ipc::health::Standing;
use crate::ipc::message::{MemberInfo, MemberState, Message};
use crate::role::MemberId;
use crate::time::{millis, Moment};
use crate::watch::silence::Silence;
use crate::watch::ticks;

/// What is seen of a member from look to look.
#[derive(Debug)]
pub(super) struct Looks {
    /// Since when no byte has come of it.
    silence: Silence,
    signs: u64,
    /// Since when it has read nothing of what waits for it.
    unread: Progress,
    /// Since when no byte has come of a frame that was granted to it, on either lane.
    owed: Progress,
    owed_calls: Progress,
}

/// For how long something that is expected has not gone on.
#[derive(Debug)]
struct Progress {
    silence: Silence,
    count: u64,
}

impl Looks {
    pub(super) fn new(period: Duration, now: Instant) -> Self {
        let progress = || Progress { silence: Silence::new(period, now), count: 0 };
        let silence = Silence::new(period, now);
        Self { silence, signs: 0, unread: progress(), owed: progress(), owed_calls: progress() }
    }
}

impl Progress {
    fn look(&mut self, is_expected: bool, count: u64, now: Instant) -> Duration {
        if !is_expected || self.count != count {
            self.count = count;
            self.silence.heard(now);
        }
        self.silence.look(now)
    }
}

impl Entry {
    /// It has said anything at all.
    fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.looks.silence.heard(now);
        if self.vitals.is_frozen() {
            self.vitals.set_frozen(false, self.info.state, Moment::now());
        }
    }

    /// Why it can't stay, if for `limit` it has not gone on with what others wait for. Less than `much` harms nobody.
    fn why_turned_out(&mut self, limit: Duration, much: usize, now: Instant) -> Option<String> {
        let (waiting, moved) = self.outbox.progress();
        let is_much = waiting > much || self.outbox.has_large();
        let unread = self.looks.unread.look(is_much, moved, now);
        let (is_expected, count) = self.signs.owed();
        let on_control = self.looks.owed.look(is_expected, count, now);
        let (is_expected, count) = self.signs.owed_calls();
        // What has arrived and is not read is not its fault, unless it is not read because of what the member does not read.
        let is_its_turn = self.lane.as_ref().is_some_and(|lane| lane.waits_for_peer());
        let on_calls = self.looks.owed_calls.look(is_expected && is_its_turn, count, now);
        let unsent = on_control.max(on_calls);
        if unread >= limit {
            return Some(format!(
                "has read nothing for {} ms, and {waiting} bytes wait for it",
                unread.as_millis()
            ));
        }
        (unsent >= limit)
            .then(|| format!("has sent nothing for {} ms of what it has announced", unsent.as_millis()))
    }
}

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
        let now = Moment::now();
        let dead: Vec<_> = roster.dead().iter().map(|death| death.standing(now)).collect();
        let primary = roster.vitals.standing(roster.primary.clone(), now);
        let others = roster.members.values().map(|entry| entry.vitals.standing(entry.info.clone(), now));
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
            roster.vitals.set_stuck(is_stuck, state, Moment::now().before(millis(silence)));
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
                entry.vitals.set_stuck(is_stuck, entry.info.state, Moment::now().before(lag_ms));
            }
        }
    }

    /// A member has said anything at all.
    pub(super) fn note_heard(&self, id: MemberId) {
        if let Some(entry) = self.roster().members.get_mut(&id) {
            entry.heard(Instant::now());
        }
    }

    /// Looks, until cancelled, for members of which nothing is heard, or which hold up what others wait for.
    pub(super) async fn watch_members(&self) {
        let every = self.limits.beat();
        let mut looks = ticks(every);
        loop {
            looks.tick().await;
            self.look_for_frozen(Instant::now());
            self.look_for_stalled(Instant::now());
        }
    }

    fn look_for_frozen(&self, now: Instant) {
        let limit = self.limits.frozen(self.limits.beat());
        for entry in self.roster().members.values_mut() {
            let signs = entry.signs.of_life();
            if signs != entry.looks.signs {
                // Bytes of a frame that is not whole yet, too.
                entry.looks.signs = signs;
                entry.heard(now);
            }
            let silence = entry.looks.silence.look(now);
            if silence >= limit && !entry.vitals.is_frozen() {
                let since = Moment::now().before(millis(silence));
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

    fn look_for_stalled(&self, now: Instant) {
        let limit = self.limits.max_silence;
        let mut roster = self.roster();
        // When all that may wait does, somebody has more than this.
        let share = self.context.budget.most() / (2 * roster.members.len().max(1));
        let much = MUCH.min(share);
        let stalled: Vec<_> = roster
            .members
            .iter_mut()
            .filter_map(|(id, entry)| Some((*id, entry.why_turned_out(limit, much, now)?)))
            .collect();
        for (id, why) in stalled {
            self.turn_out(&mut roster, id, &why);
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
        self.deaths.now(alive, Moment::now())
    }

    pub(super) fn beat(&mut self) -> Message {
        let dead = self.dead().to_vec();
        Message::Beat { lag_ms: self.primary.lag_ms, is_stuck: self.vitals.is_stuck(), dead }
    }
}
