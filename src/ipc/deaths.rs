//! Members that are gone without having said that they would leave. A broker remembers them until the group is complete
//! again, or for a while; followers keep its list, and who else was there, for when they lead. No I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ipc::health::{Condition, Standing};
use crate::ipc::message::{MemberInfo, MemberState, Message};
use crate::role::MemberId;
use crate::time::Moment;

/// How long the members of a tenure may take to join the next one, before they are taken for dead.
const REJOIN_MS: u64 = 2_000;
/// How many of the dead are remembered.
const MOST: usize = 64;

/// A member that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Death {
    /// Who.
    pub member: MemberInfo,
    /// Since when, in ms since 1970.
    pub since: u64,
    /// The same, of the host's clock. Protocol 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// How many members there were before.
    pub before: usize,
}

/// What a follower that becomes primary knows of the tenure before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Legacy {
    /// Who is dead already.
    pub dead: Vec<Death>,
    /// Who is expected to join again.
    pub expected: Vec<MemberInfo>,
    /// How many members there were, this one included, that have not said that they leave.
    pub before: usize,
}

/// The dead of a group, kept by its broker.
#[derive(Debug)]
pub struct Deaths {
    dead: Vec<Death>,
    expected: Vec<MemberInfo>,
    before: usize,
    began: Moment,
    forget_ms: u64,
}

impl Deaths {
    /// Begins with what is left of the tenure before. The dead are forgotten after `forget`.
    #[must_use]
    pub fn new(legacy: Legacy, forget: Duration, now: Moment) -> Self {
        let forget_ms = crate::time::millis(forget);
        let Legacy { dead, expected, before } = legacy;
        Self { dead, expected, before, began: now, forget_ms }
    }

    /// One of `before` members is gone.
    pub fn add(&mut self, member: MemberInfo, before: usize, now: Moment) {
        self.push(Death::new(member, now, before));
    }

    /// `id` has said that it leaves, which was read after its connection had ended.
    pub fn forgive(&mut self, id: MemberId) {
        self.dead.retain(|death| death.member.id != id);
    }

    /// Somebody has joined: it is not dead, or not any more.
    pub fn welcome(&mut self, member: &MemberInfo) {
        self.dead.retain(|death| !is_same(&death.member, member));
        self.expected.retain(|expected| !is_same(expected, member));
    }

    /// Who is dead, when `alive` members are there now.
    pub fn now(&mut self, alive: usize, now: Moment) -> &[Death] {
        if now.since(self.began) >= REJOIN_MS {
            for member in std::mem::take(&mut self.expected) {
                self.push(Death::new(member, self.began, self.before));
            }
        }
        let forget_ms = self.forget_ms;
        self.dead.retain(|death| alive < death.before && death.age(now) < forget_ms);
        &self.dead
    }

    fn push(&mut self, death: Death) {
        if self.dead.len() == MOST {
            self.dead.remove(0);
        }
        self.dead.push(death);
    }
}

/// Whether a primary that has said that its tenure ends dies with it.
#[derive(Clone, Copy, Debug)]
struct Died(bool);

/// What a follower knows of its group.
#[derive(Clone, Debug)]
pub struct Known {
    primary: MemberInfo,
    me: MemberId,
    members: BTreeMap<MemberId, MemberInfo>,
    dead: Vec<Death>,
    /// Since when the primary has said nothing.
    silent_since: Option<Moment>,
    /// What it was asked, and has not answered.
    asked: Vec<u32>,
    /// It has said that its tenure ends, and whether it dies.
    bye: Option<Died>,
}

impl Known {
    /// What it was told when it joined. `me` is its own id.
    #[must_use]
    pub fn new(primary: MemberInfo, me: MemberId, members: Vec<MemberInfo>, dead: Vec<Death>) -> Self {
        let members =
            members.into_iter().filter(|each| each.id != primary.id).map(|each| (each.id, each)).collect();
        Self { primary, me, members, dead, silent_since: None, asked: Vec::new(), bye: None }
    }

    /// Everybody but the primary.
    #[must_use]
    pub fn members(&self) -> Vec<MemberInfo> {
        self.members.values().cloned().collect()
    }

    /// Who is gone without having said so.
    #[must_use]
    pub fn dead(&self) -> Vec<MemberInfo> {
        self.dead.iter().map(|death| death.member.clone()).collect()
    }

    /// What the primary says on.
    pub fn hear(&mut self, message: &Message) {
        match message {
            Message::Joined { member } => {
                self.members.insert(member.id, member.clone());
            }
            // Behind its last word members leave its tenure, not the group.
            Message::Left { member } if self.bye.is_none() => {
                self.members.remove(&member.id);
            }
            Message::State { id, state } => {
                if *id == self.primary.id {
                    self.primary.state = *state;
                } else if let Some(member) = self.members.get_mut(id) {
                    member.state = *state;
                }
            }
            Message::Beat { lag_ms, dead, .. } => {
                self.primary.lag_ms = *lag_ms;
                self.dead.clone_from(dead);
            }
            Message::Health { request, .. } => self.asked.retain(|asked| asked != request),
            Message::Bye { died, .. } => self.bye = Some(Died(*died)),
            _ => {}
        }
    }

    /// The primary says nothing, or is heard again. Gives back the questions that it is not going to answer soon.
    pub fn set_silent(&mut self, since: Option<Moment>) -> Vec<u32> {
        self.silent_since = since;
        if since.is_some() {
            std::mem::take(&mut self.asked)
        } else {
            Vec::new()
        }
    }

    /// Whether nobody in it has longer texts than a member may have.
    #[must_use]
    pub fn is_bounded(&self) -> bool {
        let dead = self.dead.iter().map(|death| &death.member);
        self.members.values().chain([&self.primary]).chain(dead).all(MemberInfo::is_bounded)
    }

    /// The primary is asked how the group does.
    pub fn ask(&mut self, request: u32) {
        self.asked.push(request);
    }

    /// While the primary is frozen, and can't answer: how the group does, as far as is known here.
    #[must_use]
    pub fn without_primary(&self) -> Option<Vec<Standing>> {
        let since = self.silent_since?;
        let now = Moment::now();
        let frozen = Standing::new(self.primary.clone(), Condition::Frozen, since, now);
        let others = self.members.values().map(|member| {
            let state = match member.state {
                MemberState::Starting => Condition::Starting,
                MemberState::Ready => Condition::Ok,
                MemberState::Leaving => Condition::Leaving,
            };
            Standing { member: member.clone(), state, since: member.joined_at, for_ms: None }
        });
        Some(
            std::iter::once(frozen)
                .chain(others)
                .chain(self.dead.iter().map(|death| death.standing(now)))
                .collect(),
        )
    }

    /// What is left when the tenure has ended.
    #[must_use]
    pub fn legacy(self, now: Moment) -> Legacy {
        let is_staying = |member: &MemberInfo| member.state != MemberState::Leaving;
        let is_lost = self.bye.is_none_or(|Died(died)| died) && is_staying(&self.primary);
        let before = usize::from(is_lost) + self.members.values().filter(|member| is_staying(member)).count();
        let mut dead = self.dead;
        if is_lost {
            dead.push(Death::new(self.primary, now, before));
        }
        let me = self.me;
        let expected =
            self.members.into_values().filter(|member| member.id != me && is_staying(member)).collect();
        Legacy { dead, expected, before }
    }
}

impl Death {
    fn new(member: MemberInfo, at: Moment, before: usize) -> Self {
        Self { member, since: at.wall, at: Some(at.host), before }
    }

    /// In ms. A member that speaks an earlier version says it by the wall clock.
    fn age(&self, now: Moment) -> u64 {
        self.at.map_or_else(|| now.wall.saturating_sub(self.since), |at| now.host.saturating_sub(at))
    }

    /// As it is told of the group's health.
    #[must_use]
    pub fn standing(&self, now: Moment) -> Standing {
        let for_ms = Some(self.age(now));
        Standing { member: self.member.clone(), state: Condition::Dead, since: self.since, for_ms }
    }
}

/// Ids are of one tenure; a process is the same in all.
pub(super) fn is_same(one: &MemberInfo, other: &MemberInfo) -> bool {
    (one.pid, one.thread_id, one.started_at) == (other.pid, other.thread_id, other.started_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment { wall: ms, host: ms }
    }

    fn member(id: u32) -> MemberInfo {
        MemberInfo { id: MemberId(id), ..MemberInfo::of(id + 100) }
    }

    fn deaths(legacy: Legacy) -> Deaths {
        Deaths::new(legacy, Duration::from_secs(60), at(0))
    }

    fn pids(dead: &[Death]) -> Vec<u32> {
        dead.iter().map(|death| death.member.pid).collect()
    }

    #[test]
    fn the_dead_are_remembered_until_there_are_as_many_members_as_before() {
        let mut deaths = deaths(Legacy::default());
        deaths.add(member(2), 4, at(10));
        deaths.add(member(3), 3, at(20));
        assert_eq!(pids(deaths.now(2, at(20))), [102, 103]);
        deaths.welcome(&member(5));
        assert_eq!(pids(deaths.now(3, at(30))), [102]);
        deaths.welcome(&member(6));
        assert_eq!(pids(deaths.now(4, at(40))), [0; 0]);
        assert_eq!(pids(deaths.now(1, at(50))), [0; 0]);
    }

    #[test]
    fn that_the_wall_clock_is_set_makes_nobody_dead_or_forgotten() {
        let legacy = Legacy { expected: vec![member(9)], before: 5, ..Legacy::default() };
        let mut deaths = deaths(legacy);
        deaths.add(member(2), 4, at(10));
        let a_day = 86_400_000;
        assert_eq!(pids(deaths.now(3, Moment { wall: a_day, host: 20 })), [102]);
        assert_eq!(pids(deaths.now(3, Moment { wall: 0, host: 2_000 })), [102, 109]);
        // Those who did not join again have been dead since the tenure began.
        assert_eq!(pids(deaths.now(3, Moment { wall: 0, host: 60_005 })), [102]);
    }

    #[test]
    fn the_dead_are_forgotten_after_a_while() {
        let mut deaths = deaths(Legacy::default());
        deaths.add(member(2), 4, at(10));
        assert_eq!(pids(deaths.now(3, at(60_009))), [102]);
        assert_eq!(pids(deaths.now(3, at(60_010))), [0; 0]);
    }

    #[test]
    fn who_joins_again_or_has_said_that_it_leaves_is_not_dead() {
        let mut deaths = deaths(Legacy::default());
        deaths.add(member(2), 4, at(10));
        deaths.add(member(3), 4, at(10));
        // The same process, with a new id.
        deaths.welcome(&MemberInfo { id: MemberId(9), ..member(2) });
        deaths.forgive(MemberId(3));
        assert_eq!(pids(deaths.now(2, at(20))), [0; 0]);
    }

    #[test]
    fn a_primary_that_dies_is_dead_for_the_next_one_and_so_are_those_who_do_not_join_again() {
        let all = vec![member(1), member(2), member(3), member(4)];
        let mut known = Known::new(member(1), MemberId(2), all, Vec::new());
        known.hear(&Message::Joined { member: member(5) });
        known.hear(&Message::Joined { member: member(6) });
        known.hear(&Message::State { id: MemberId(6), state: MemberState::Leaving });
        let dead = vec![Death::new(member(8), at(0), 9)];
        known.hear(&Message::Beat { lag_ms: 0, is_stuck: false, dead });
        let legacy = known.legacy(at(500));
        assert_eq!(legacy.before, 5);
        let mut deaths = deaths(legacy);
        deaths.welcome(&member(3));
        deaths.welcome(&member(4));
        assert_eq!(pids(deaths.now(3, at(1_999))), [108, 101]);
        assert_eq!(pids(deaths.now(3, at(2_000))), [108, 101, 105]);
        assert_eq!(pids(deaths.now(5, at(2_000))), [108]);
    }

    #[test]
    fn a_primary_that_said_that_it_goes_is_not_dead() {
        let mut known = Known::new(member(1), MemberId(2), vec![member(1), member(2)], Vec::new());
        known.hear(&Message::Bye { taken: 0, died: false });
        assert_eq!(known.legacy(at(5)), Legacy { dead: vec![], expected: vec![], before: 1 });
    }

    #[test]
    fn who_can_not_ask_its_primary_says_what_it_knows() {
        let all = vec![member(1), member(2), member(3)];
        let mut known = Known::new(member(1), MemberId(2), all, Vec::new());
        assert_eq!(known.without_primary(), None);
        known.ask(1);
        known.ask(2);
        known.hear(&Message::Health { request: 1, members: Vec::new() });
        assert_eq!(known.set_silent(Some(at(77))), [2]);
        assert_eq!(known.set_silent(Some(at(77))), [0; 0]);
        let standings = known.without_primary().unwrap_or_default();
        let said: Vec<_> = standings.iter().map(|each| (each.member.id.0, each.state)).collect();
        assert_eq!(said, [(1, Condition::Frozen), (2, Condition::Ok), (3, Condition::Ok)]);
        assert_eq!(standings[0].since, 77);
    }
}
