//! The gathers that a broker has open: who has asked, who has still to answer, and until when. No I/O.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::ipc::message::MemberInfo;
use crate::ipc::parcel::{GatherId, Missing, Reason, Request};
use crate::role::MemberId;

/// Longer than any gather waits: beyond it a deadline may not be representable.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// See the module.
#[derive(Debug, Default)]
pub struct Gathers {
    last: u64,
    open: BTreeMap<GatherId, Gather>,
}

#[derive(Debug)]
struct Gather {
    asker: MemberId,
    request: Request,
    waiting: BTreeMap<MemberId, MemberInfo>,
    missing: Vec<Missing>,
    deadline: Instant,
}

/// A gather that has ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Ended {
    /// Who has asked.
    pub asker: MemberId,
    /// The asker's number for it.
    pub request: Request,
    /// Those who have not answered.
    pub missing: Vec<Missing>,
}

/// An answer that somebody waits for.
#[derive(Debug, PartialEq, Eq)]
pub struct Answered {
    /// Who has asked.
    pub asker: MemberId,
    /// The asker's number for the gather.
    pub request: Request,
    /// Who has answered.
    pub member: MemberInfo,
}

impl Gathers {
    /// Opens a gather over `members`.
    pub fn open(
        &mut self,
        asker: MemberId,
        request: Request,
        members: impl IntoIterator<Item = MemberInfo>,
        now: Instant,
        timeout: Duration,
    ) -> GatherId {
        self.last += 1;
        let id = GatherId(self.last);
        let waiting = members.into_iter().map(|member| (member.id, member)).collect();
        let deadline = now + timeout.min(LONGEST);
        self.open.insert(id, Gather { asker, request, waiting, missing: Vec::new(), deadline });
        id
    }

    /// Whether no member waits for one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.values().all(|gather| gather.asker == MemberId::BROKER)
    }

    /// Who has asked.
    #[must_use]
    pub fn asker(&self, id: GatherId) -> Option<MemberId> {
        self.open.get(&id).map(|gather| gather.asker)
    }

    /// `member` has answered; `None` when nobody waits for that (any more).
    pub fn answer(&mut self, id: GatherId, member: MemberId) -> Option<Answered> {
        let gather = self.open.get_mut(&id)?;
        let member = gather.waiting.remove(&member)?;
        Some(Answered { asker: gather.asker, request: gather.request, member })
    }

    /// `member` is not going to answer.
    pub fn miss(&mut self, id: GatherId, member: MemberId, reason: Reason) {
        if let Some(gather) = self.open.get_mut(&id) {
            if let Some(member) = gather.waiting.remove(&member) {
                gather.missing.push(Missing { member, reason });
            }
        }
    }

    /// `member` is gone. What it has asked, nobody waits for. What it was asked, it is missing in; if it had said that
    /// it is leaving, it is a member no more, and nothing is missing.
    pub fn forget(&mut self, member: MemberId, was_leaving: bool) {
        self.open.retain(|_, gather| gather.asker != member);
        for gather in self.open.values_mut() {
            if let Some(member) = gather.waiting.remove(&member) {
                if !was_leaving {
                    gather.missing.push(Missing { member, reason: Reason::Lost });
                }
            }
        }
    }

    /// Takes the gathers that have ended at `now`: everybody has answered, or time is up.
    pub fn take_ended(&mut self, now: Instant) -> Vec<Ended> {
        let ended: Vec<_> = self
            .open
            .iter()
            .filter(|(_, gather)| gather.waiting.is_empty() || gather.deadline <= now)
            .map(|(id, _)| *id)
            .collect();
        ended.into_iter().filter_map(|id| self.open.remove(&id)).map(Gather::end).collect()
    }

    /// When the next one ends by itself.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.open.values().map(|gather| gather.deadline).min()
    }
}

impl Gather {
    fn end(self) -> Ended {
        let late = self.waiting.into_values().map(|member| Missing { member, reason: Reason::Timeout });
        let mut missing = self.missing;
        missing.extend(late);
        Ended { asker: self.asker, request: self.request, missing }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn member(id: u32) -> MemberInfo {
        MemberInfo { id: MemberId(id), ..MemberInfo::of(id) }
    }

    fn reasons(ended: &[Ended]) -> Vec<(u32, Reason)> {
        ended.iter().flat_map(|each| &each.missing).map(|each| (each.member.id.0, each.reason)).collect()
    }

    #[test]
    fn it_ends_when_the_last_one_has_answered_and_nobody_answers_twice() {
        let (mut gathers, now) = (Gathers::default(), Instant::now());
        let id = gathers.open(MemberId(1), 9, [member(2), member(3)], now, Duration::from_secs(1));
        assert_eq!(gathers.answer(id, MemberId(2)).unwrap().request, 9);
        assert_eq!(gathers.answer(id, MemberId(2)), None);
        assert_eq!(gathers.answer(id, MemberId(7)), None);
        assert!(gathers.take_ended(now).is_empty());
        gathers.answer(id, MemberId(3)).unwrap();
        assert_eq!(gathers.take_ended(now), [Ended { asker: MemberId(1), request: 9, missing: vec![] }]);
        assert!(gathers.is_empty() && gathers.answer(id, MemberId(3)).is_none());
    }

    #[test]
    fn with_nobody_to_ask_it_ends_at_once() {
        let (mut gathers, now) = (Gathers::default(), Instant::now());
        gathers.open(MemberId(1), 9, [], now, Duration::from_secs(1));
        assert_eq!(gathers.take_ended(now).len(), 1);
    }

    #[test]
    fn who_has_not_answered_in_time_or_has_died_is_missing_with_the_reason() {
        let (mut gathers, now) = (Gathers::default(), Instant::now());
        let all = (2..=6).map(member);
        let id = gathers.open(MemberId(1), 9, all, now, Duration::from_secs(1));
        gathers.forget(MemberId(2), false);
        gathers.forget(MemberId(3), true);
        gathers.miss(id, MemberId(4), Reason::TooLarge);
        gathers.answer(id, MemberId(5)).unwrap();
        assert_eq!(gathers.next_deadline(), Some(now + Duration::from_secs(1)));
        let ended = gathers.take_ended(now + Duration::from_secs(1));
        assert_eq!(reasons(&ended), [(2, Reason::Lost), (4, Reason::TooLarge), (6, Reason::Timeout)]);
    }

    #[test]
    fn what_the_broker_itself_asks_keeps_no_member_waiting() {
        let (mut gathers, now) = (Gathers::default(), Instant::now());
        gathers.open(MemberId::BROKER, 1, [member(2)], now, Duration::from_secs(1));
        assert!(gathers.is_empty());
        gathers.open(MemberId(2), 1, [member(3)], now, Duration::from_secs(1));
        assert!(!gathers.is_empty());
    }

    #[test]
    fn nobody_waits_for_what_a_dead_member_has_asked() {
        let (mut gathers, now) = (Gathers::default(), Instant::now());
        let id = gathers.open(MemberId(2), 9, [member(3)], now, Duration::from_secs(1));
        gathers.forget(MemberId(2), false);
        assert!(gathers.is_empty() && gathers.answer(id, MemberId(3)).is_none());
    }
}
