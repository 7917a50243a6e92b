//! How the members of a group do, as its broker sees them. No I/O.

use serde::{Deserialize, Serialize};

use crate::ipc::message::{MemberInfo, MemberState};
use crate::time::Moment;

/// How a member does. Its own checks are JavaScript's, and not in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// Its own start-up has not finished: an event loop that loads an application is silent for long.
    Starting,
    /// It runs.
    Ok,
    /// Its event loop is silent for longer than it should be.
    Stuck,
    /// Its whole process is.
    Frozen,
    /// It is stopping.
    Leaving,
    /// It is gone, and has not said that it would leave.
    Dead,
}

/// One member, and how it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Who.
    pub member: MemberInfo,
    /// How it does.
    pub state: Condition,
    /// Since when, in ms since 1970.
    pub since: u64,
    /// For how long, in ms: the wall clock may have been set since. Protocol 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
}

impl Standing {
    /// As it is at `now`.
    #[must_use]
    pub fn new(member: MemberInfo, state: Condition, since: Moment, now: Moment) -> Self {
        Self { member, state, since: since.wall, for_ms: Some(now.since(since)) }
    }
}

/// What is seen of one member.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    is_stuck: bool,
    is_frozen: bool,
    condition: Condition,
    since: Moment,
}

impl Vitals {
    /// Of a member that has just come.
    #[must_use]
    pub fn new(state: MemberState, now: Moment) -> Self {
        let mut vitals =
            Self { is_stuck: false, is_frozen: false, condition: Condition::Starting, since: now };
        vitals.note(state, now);
        vitals
    }

    /// Its state has changed.
    pub fn note(&mut self, state: MemberState, since: Moment) {
        let condition = match state {
            MemberState::Starting => Condition::Starting,
            MemberState::Leaving => Condition::Leaving,
            MemberState::Ready if self.is_frozen => Condition::Frozen,
            MemberState::Ready if self.is_stuck => Condition::Stuck,
            MemberState::Ready => Condition::Ok,
        };
        if condition != self.condition {
            self.condition = condition;
            self.since = since;
        }
    }

    /// Its event loop is stuck, or turns again, since then.
    pub fn set_stuck(&mut self, is_stuck: bool, state: MemberState, since: Moment) {
        self.is_stuck = is_stuck;
        self.note(state, since);
    }

    /// Its process is frozen, or runs again, since then.
    pub fn set_frozen(&mut self, is_frozen: bool, state: MemberState, since: Moment) {
        self.is_frozen = is_frozen;
        self.note(state, since);
    }

    /// Whether its process is frozen.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.is_frozen
    }

    /// Whether its event loop is stuck.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.is_stuck
    }

    /// How it does.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// How `member`, whose vitals these are, does.
    #[must_use]
    pub fn standing(&self, member: MemberInfo, now: Moment) -> Standing {
        Standing::new(member, self.condition, self.since, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment { wall: ms, host: ms }
    }

    #[test]
    fn who_is_starting_or_leaving_is_neither_stuck_nor_frozen() {
        let mut vitals = Vitals::new(MemberState::Starting, at(1));
        vitals.set_stuck(true, MemberState::Starting, at(5));
        assert_eq!((vitals.condition, vitals.since), (Condition::Starting, at(1)));
        vitals.note(MemberState::Ready, at(7));
        assert_eq!((vitals.condition, vitals.since), (Condition::Stuck, at(7)));
        vitals.set_frozen(true, MemberState::Ready, at(8));
        assert_eq!((vitals.condition, vitals.since), (Condition::Frozen, at(8)));
        vitals.note(MemberState::Leaving, at(9));
        assert_eq!(vitals.condition, Condition::Leaving);
    }

    #[test]
    fn what_does_not_change_keeps_its_time() {
        let mut vitals = Vitals::new(MemberState::Ready, at(1));
        vitals.set_stuck(true, MemberState::Ready, at(5));
        vitals.set_stuck(true, MemberState::Ready, at(6));
        assert_eq!((vitals.condition, vitals.since), (Condition::Stuck, at(5)));
        vitals.set_stuck(false, MemberState::Ready, at(9));
        assert_eq!((vitals.condition, vitals.since), (Condition::Ok, at(9)));
    }
}
