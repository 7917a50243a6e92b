//! What members ask of all others: a broker passes it on, and keeps an account of who has to answer. It never waits in
//! between; who has asked is given no credit for more as long as too much waits for those who are to read it.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use tracing::warn;

use super::{Broker, Roster};
use crate::error::{AgentError, Result};
use crate::inbox::Letter;
use crate::ipc::flow::budget::Permit;
use crate::ipc::flow::sending::{Class, Outgoing};
use crate::ipc::flow::SMALL;
use crate::ipc::gather::Ended;
use crate::ipc::health::Condition;
use crate::ipc::message::MemberInfo;
use crate::ipc::parcel::{Body, Carrier, GatherId, Parcel, Reason, Request};
use crate::role::MemberId;
use crate::time::{host_ms, millis, Clock};

/// How many bytes may wait for a member before those wait that have more for it.
pub(super) const MUCH: usize = 16 * 1024 * 1024;
/// For how long a member that has much to read may read nothing before nobody waits for it any more.
const MOMENT: Duration = Duration::from_millis(250);
/// How many bytes one member may answer to what the broker itself asks.
const MOST_FOR_US: usize = 1024 * 1024;

/// Who is to read what was passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Towards {
    Nobody,
    One(MemberId),
    All,
}

impl Towards {
    /// Those of both.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nobody, one) | (one, Self::Nobody) => one,
            (one, other) if one == other => one,
            _ => Self::All,
        }
    }

    fn has(self, id: MemberId) -> bool {
        self == Self::All || self == Self::One(id)
    }
}

impl Broker {
    /// A parcel of the primary's own JavaScript. Never waits: what is for others waits in a line of its own.
    pub fn take_own(&self, parcel: Parcel, body: Body) {
        if parcel.class() == Class::Metrics {
            // Nobody else has to have room for it.
            if let Err(error) = self.route(self.id(), parcel, body, None) {
                warn!("metrics of this process could not be taken: {error}");
            }
            return;
        }
        // Without a broker that serves there is nobody to pass it on.
        let _ = self.own.send((parcel, body));
    }

    /// Passes on what the primary's own JavaScript gives, in order.
    pub(super) async fn pass_own_on(&self) {
        let Some(mut line) = self.own_line.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        while let Some((parcel, body)) = line.recv().await {
            // As if another process had sent it.
            let size = body.bytes.len();
            let permit = if size > SMALL { Some(self.context.receive.take(size).await) } else { None };
            match self.route(self.id(), parcel, body, permit.as_ref()) {
                Ok(towards) => self.let_read(towards).await,
                Err(error) => warn!("a request of this process could not be passed on: {error}"),
            }
        }
    }

    /// Passes a parcel of member `from` on. `permit` is the part of the budget that its body takes.
    pub(super) fn route(
        &self,
        from: MemberId,
        parcel: Parcel,
        body: Body,
        permit: Option<&Permit>,
    ) -> Result<Towards> {
        let mut roster = self.roster();
        if parcel.is_request() {
            if self.is_closing() {
                // Not taken, and so not counted: it is asked again of the next primary.
                return Ok(Towards::Nobody);
            }
            if from == roster.primary.id {
                roster.own_taken += 1;
            } else if let Some(entry) = roster.members.get_mut(&from) {
                entry.taken += 1;
            } else {
                // Turned out.
                return Ok(Towards::Nobody);
            }
        }
        match parcel {
            Parcel::Gather { request, name, timeout_ms, carrier } => {
                let timeout = Duration::from_millis(u64::from(timeout_ms));
                self.ask_all(&mut roster, (from, request), name, timeout, carrier, &body, permit)?;
                Ok(Towards::All)
            }
            Parcel::Answer { gather, status } => self.answer(&mut roster, from, gather, status, body, permit),
            Parcel::Publish { request, topic } => {
                self.publish(&mut roster, (from, request), topic, &body, permit)?;
                Ok(Towards::All)
            }
            Parcel::Schema {} | Parcel::Snapshot { .. } | Parcel::Scrape { .. } => {
                self.hear_metrics(&mut roster, from, &parcel, &body)?;
                Ok(Towards::Nobody)
            }
            other => Err(AgentError::BadFrame(format!("{other:?} from a member"))),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what a gather is made of")]
    pub(super) fn ask_all(
        &self,
        roster: &mut Roster,
        (asker, request): (MemberId, Request),
        name: String,
        timeout: Duration,
        carrier: Option<Carrier>,
        body: &Body,
        permit: Option<&Permit>,
    ) -> Result<()> {
        let Some(from) = roster.asker(asker).cloned() else { return Ok(()) };
        let others: Vec<_> = std::iter::once((&roster.primary, &roster.vitals))
            .chain(roster.members.values().map(|entry| (&entry.info, &entry.vitals)))
            .filter(|(member, vitals)| match asker {
                // For who does not run, questions would pile up.
                MemberId::BROKER => vitals.condition() == Condition::Ok,
                asker => member.id != asker,
            })
            .map(|(member, _)| member.clone())
            .collect();
        let ids: Vec<_> = others.iter().map(|member| member.id).collect();
        let now = Instant::now();
        let gather = roster.gathers.open(asker, request, others, now, timeout);
        let until = host_ms().saturating_add(millis(timeout));
        let json = asker == MemberId::BROKER;
        let ask = Parcel::Ask { gather, name, until, from, carrier, json };
        let frame = Outgoing::parcel(&ask, self.epoch, body, permit)?;
        let mut of_wall_clock = None;
        for id in ids {
            if id == roster.primary.id {
                let letter = Letter { expires: Some(until), ..Letter::of(ask.clone(), body.clone()) };
                // Without room, its JavaScript is stuck: time will be up.
                let _ = self.context.inbox.try_post(letter);
                continue;
            }
            let Some(entry) = roster.members.get(&id) else { continue };
            if body.bytes.len() > entry.max_payload {
                roster.gathers.miss(gather, id, Reason::TooLarge);
            } else if Clock::of(entry.protocol) == Clock::Host {
                entry.outbox.send(frame.clone());
            } else {
                let frame = match &of_wall_clock {
                    Some(frame) => frame,
                    None => of_wall_clock.insert(Outgoing::parcel(
                        &ask.clone().dated(Clock::Wall),
                        self.epoch,
                        body,
                        permit,
                    )?),
                };
                entry.outbox.send(frame.clone());
            }
        }
        self.gathers_changed.notify_one();
        Ok(())
    }

    fn answer(
        &self,
        roster: &mut Roster,
        from: MemberId,
        gather: GatherId,
        status: u8,
        body: Body,
        permit: Option<&Permit>,
    ) -> Result<Towards> {
        let Some(asker) = roster.gathers.asker(gather) else { return Ok(Towards::Nobody) };
        let takes = match roster.members.get(&asker) {
            Some(entry) => body.bytes.len() <= entry.max_payload,
            None if asker == MemberId::BROKER => body.bytes.len() <= MOST_FOR_US,
            None => body.bytes.len() <= self.context.max_payload && self.context.inbox.takes_letters(),
        };
        if !takes {
            roster.gathers.miss(gather, from, Reason::AnswerTooLarge);
        } else if let Some(answered) = roster.gathers.answer(gather, from) {
            let outcome = Parcel::Outcome { request: answered.request, member: answered.member, status };
            self.deliver(roster, answered.asker, outcome, body, permit)?;
        }
        self.gathers_changed.notify_one();
        Ok(Towards::One(asker))
    }

    fn publish(
        &self,
        roster: &mut Roster,
        (publisher, request): (MemberId, Request),
        topic: String,
        body: &Body,
        permit: Option<&Permit>,
    ) -> Result<()> {
        let Some(from) = roster.info(publisher).cloned() else { return Ok(()) };
        let topic = Parcel::Topic { topic, from };
        let frame = Outgoing::parcel(&topic, self.epoch, body, permit)?;
        for (id, entry) in &roster.members {
            let size = body.bytes.len();
            if size > entry.max_payload {
                warn!("member {id} (pid {}) takes no message of {size} bytes", entry.info.pid);
            } else {
                entry.outbox.send(frame.clone());
            }
        }
        let letter = Letter::of(topic, body.clone());
        if publisher == roster.primary.id {
            // Bounded by what its own JavaScript may have under way.
            self.context.inbox.post(letter);
        } else if !self.context.inbox.try_post(letter) {
            warn!("this process does not take its messages: one that was published is left out");
        }
        self.deliver(roster, publisher, Parcel::Published { request }, Body::none(), None)
    }

    /// Hands a parcel to one member, or to our own JavaScript.
    pub(super) fn deliver(
        &self,
        roster: &mut Roster,
        to: MemberId,
        parcel: Parcel,
        body: Body,
        permit: Option<&Permit>,
    ) -> Result<()> {
        if to == MemberId::BROKER {
            self.tell_inquirer(parcel, body);
        } else if let Some(entry) = roster.members.get(&to) {
            entry.outbox.send(Outgoing::parcel(&parcel, self.epoch, &body, permit)?);
        } else if to == roster.primary.id {
            // Also when much waits already: it has asked for this, and would wait for it in vain.
            self.context.inbox.post(Letter::of(parcel, body));
        }
        Ok(())
    }

    /// Waits until those who are to read have room for more.
    async fn let_read(&self, towards: Towards) {
        let mut waits = BTreeMap::new();
        while self.is_anybody_reading(towards, &mut waits) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whether one of those has much to read, and reads. One that does not read is waited for a moment, once, and then not any
    /// more until it reads again. When as much waits as may wait for all, nobody puts more in, until it is read or those that
    /// don't read are turned out.
    pub(super) fn is_anybody_reading(
        &self,
        towards: Towards,
        waits: &mut BTreeMap<MemberId, (u64, Instant)>,
    ) -> bool {
        let mut roster = self.roster();
        let most = self.context.budget.most();
        let own = (roster.primary.id, self.context.inbox.progress());
        let others = roster.members.iter().map(|(id, entry)| (*id, entry.outbox.progress()));
        let small: usize = roster.members.values().map(|entry| entry.outbox.waiting_small()).sum();
        let busy: Vec<_> = std::iter::once(own)
            .chain(others)
            .filter(|(id, (waiting, _))| *waiting > MUCH && towards.has(*id))
            .collect();
        let mut reading = small > most;
        for (id, (_, taken)) in busy {
            if roster.deaf.get(&id) == Some(&taken) {
                continue;
            }
            let now = Instant::now();
            let (before, since) = waits.entry(id).or_insert((taken, now));
            if *before != taken {
                (*before, *since) = (taken, now);
            }
            if since.elapsed() < MOMENT {
                reading = true;
            } else {
                roster.deaf.insert(id, taken);
            }
        }
        reading
    }

    /// Ends gathers when everybody has answered, or time is up.
    pub(super) async fn end_gathers(&self) {
        loop {
            let changed = self.gathers_changed.notified();
            let next = {
                let mut roster = self.roster();
                for ended in roster.gathers.take_ended(Instant::now()) {
                    self.tell_ended(&mut roster, &ended);
                }
                roster.gathers.next_deadline()
            };
            match next {
                Some(deadline) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(deadline.into()) => {}
                },
                None => changed.await,
            }
        }
    }

    fn tell_ended(&self, roster: &mut Roster, ended: &Ended) {
        let Some(asker) = roster.asker(ended.asker).cloned() else { return };
        let gathered = Parcel::Gathered { request: ended.request, asker };
        if let Err(error) =
            self.deliver(roster, ended.asker, gathered, Body::of_missing(&ended.missing), None)
        {
            warn!("the end of a gather could not be told: {error}");
        }
    }
}

impl Roster {
    /// Who asks, as the others see it: the broker asks as the primary.
    fn asker(&self, id: MemberId) -> Option<&MemberInfo> {
        if id == MemberId::BROKER {
            return Some(&self.primary);
        }
        self.info(id)
    }

    pub(super) fn info(&self, id: MemberId) -> Option<&MemberInfo> {
        if id == self.primary.id {
            return Some(&self.primary);
        }
        self.members.get(&id).map(|entry| &entry.info)
    }
}
