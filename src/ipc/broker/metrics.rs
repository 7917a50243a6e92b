//! The group's metrics: what members push and are asked for becomes one exposition, here, in the agent's thread.
//!
//! A scrape asks every member for the numbers of now, but for the asker, which says them right behind its question. It
//! is answered when all have said them or time is up: who has not, counts with what it said last. Whatever an answer
//! shows is in the group's folder before it leaves, so that the next primary shows no less.

mod group;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tracing::{debug, warn};

pub(super) use self::group::GroupMetrics;
use self::group::{incarnation, Scrape};
use super::{Broker, Roster};
use crate::error::Result;
use crate::ipc::ask::{Ask, Question};
use crate::ipc::flow::sending::Outgoing;
use crate::ipc::frame::Codec;
use crate::ipc::message::MemberInfo;
use crate::ipc::parcel::{Body, Parcel, Request, ScrapeId};
use crate::metrics::render::{Options, Quantiles};
use crate::metrics::write::Format;
use crate::role::metrics_file::MetricsFile;
use crate::role::MemberId;
use crate::time::{host_ms, millis, Clock};

/// More scrapes at once are answered with what is known.
const MAX_SCRAPES: usize = 256;
/// No scrape waits longer.
const LONGEST: Duration = Duration::from_secs(3600);
impl Broker {
    /// Goes on with what the previous primary has kept in `folder`, and keeps it there from now on. Its members that
    /// have not joined again after `grace` are gone. If none of them lives, the group begins anew.
    pub fn keep_metrics(&self, folder: &Path, grace: Duration, ask: Ask) {
        let roster = self.roster();
        let own = incarnation(&roster.primary);
        let mut metrics = self.metrics();
        let mut file = MetricsFile::new(folder, self.epoch);
        for kept in file.kept() {
            match metrics.adopt(own, &kept.state) {
                Ok(true) => {
                    file.spare(&kept);
                    metrics.settle = Some((Instant::now() + grace, grace));
                }
                Ok(false) => debug!("no member lives whose metrics were kept: they begin anew"),
                // It was being written when the previous primary died; the one before is whole.
                Err(error) => {
                    debug!("the metrics of the previous primary: {error}");
                    continue;
                }
            }
            break;
        }
        metrics.ask = ask;
        metrics.file = Some(file);
        metrics.join(own);
        drop(metrics);
        drop(roster);
        self.tend_metrics();
    }

    /// What was pushed until now is kept for the next primary: no scrape is answered any more, and whoever goes from now
    /// on goes to it. `leaves`: this process does not come back; if it is the last one, the next group begins anew.
    pub fn leave_metrics(&self, leaves: bool) {
        let roster = self.roster();
        let mut metrics = self.metrics();
        metrics.left = true;
        let own = incarnation(&roster.primary);
        if leaves && roster.members.is_empty() && !metrics.awaits_somebody(own) {
            if let Some(file) = &metrics.file {
                file.discard();
            }
            return;
        }
        if leaves {
            metrics.aggregate.forget(own);
        }
        metrics.write();
    }

    pub(super) fn join_metrics(&self, member: &MemberInfo) {
        self.metrics().join(incarnation(member));
        self.metrics_changed.notify_one();
    }

    /// `member` is off the roster.
    pub(super) fn forget_metrics(&self, roster: &Roster, member: &MemberInfo) {
        let mut metrics = self.metrics();
        metrics.schemas.remove(&member.id);
        metrics.scrapes.retain(|_, scrape| scrape.asker != member.id);
        for scrape in metrics.scrapes.values_mut() {
            scrape.waiting.remove(&member.id);
        }
        let who = incarnation(member);
        // It may have joined again before its old connection ended.
        if !roster.members.values().any(|entry| incarnation(&entry.info) == who) {
            metrics.aggregate.forget(who);
            metrics.write_at = Some(Instant::now());
        }
        self.metrics_changed.notify_one();
    }

    /// A parcel about metrics, of a member that is on the roster.
    pub(super) fn hear_metrics(
        &self,
        roster: &mut Roster,
        from: MemberId,
        parcel: &Parcel,
        body: &Body,
    ) -> Result<()> {
        let Some(who) = roster.info(from).map(incarnation) else { return Ok(()) };
        match *parcel {
            Parcel::Schema {} => {
                self.metrics().put_schema(from, who, &body.bytes);
                Ok(())
            }
            Parcel::Snapshot { scrape } => {
                let taken = self.metrics().put_snapshot(from, who, &body.bytes);
                if taken.is_err() {
                    return self.deliver(roster, from, Parcel::WantSchema { scrape }, Body::none(), None);
                }
                let mut metrics = self.metrics();
                metrics.note_answer(from, scrape);
                self.metrics_changed.notify_one();
                Ok(())
            }
            Parcel::Scrape {
                request,
                timeout_ms,
                open_metrics,
                members_apart,
                slots,
                max_quantiles,
                tells,
            } => {
                let quantiles = if max_quantiles { Quantiles::Max } else { Quantiles::Drop };
                let timeout = Duration::from_millis(u64::from(timeout_ms));
                let format = if open_metrics { Format::OpenMetrics } else { Format::Text };
                self.scrape(
                    roster,
                    (from, request),
                    format,
                    Options { members_apart, slots, quantiles },
                    timeout,
                    tells,
                )
            }
            _ => Ok(()),
        }
    }

    /// Asks every member for its metrics; the answer is for the asker, which says its own unasked if it `tells`.
    pub(super) fn scrape(
        &self,
        roster: &mut Roster,
        (asker, request): (MemberId, Request),
        format: Format,
        options: Options,
        timeout: Duration,
        tells: bool,
    ) -> Result<()> {
        let timeout = timeout.min(LONGEST);
        let (waiting, deadline) = (BTreeSet::new(), Instant::now() + timeout);
        self.collect(roster, Scrape { asker, request, format, tells, options, waiting, timeout, deadline })
    }

    fn collect(&self, roster: &mut Roster, mut scrape: Scrape) -> Result<()> {
        let mut metrics = self.metrics();
        metrics.last_scrape += 1;
        let id = ScrapeId(metrics.last_scrape);
        let until = host_ms().saturating_add(millis(scrape.timeout));
        let asker = scrape.asker;
        let own = roster.primary.id;
        let spared = scrape.tells.then_some(asker);
        let asks = metrics.scrapes.len() < MAX_SCRAPES;
        if asks {
            scrape.waiting.insert(own);
            scrape.waiting.extend(roster.members.keys());
        }
        metrics.scrapes.insert(id, scrape);
        let ask = metrics.ask.clone();
        drop(metrics);
        if asks {
            let collect = Parcel::Collect { scrape: id, until };
            for clock in [Clock::Host, Clock::Wall] {
                let collect = collect.clone().dated(clock);
                let frame = Outgoing::parcel(&collect, self.epoch, &Body::none(), None)?;
                self.send_to_all(
                    roster,
                    |id, entry| Some(id) != spared && Clock::of(entry.protocol) == clock,
                    &frame,
                );
            }
            if spared != Some(own) {
                ask.ask(Question { epoch: self.epoch, scrape: id, until }, &self.context.inbox);
            }
        }
        self.metrics_changed.notify_one();
        Ok(())
    }

    /// Answers scrapes and keeps the file, until cancelled.
    pub(super) async fn run_metrics(&self) {
        loop {
            let changed = self.metrics_changed.notified();
            match self.tend_metrics() {
                Some(next) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(next.into()) => {}
                },
                None => changed.await,
            }
        }
    }

    /// Does what is due, and says when something is again.
    fn tend_metrics(&self) -> Option<Instant> {
        let mut roster = self.roster();
        let mut metrics = self.metrics();
        if metrics.left {
            return None;
        }
        let now = Instant::now();
        metrics.settle(now);
        let answers: Vec<_> = metrics
            .take_ended(now)
            .into_iter()
            .map(|scrape| {
                let (text, problems) = metrics.answer(self.epoch.0, &roster, &scrape);
                (scrape, text, problems)
            })
            .collect();
        if !answers.is_empty() || metrics.write_at.is_some_and(|at| at <= now) {
            metrics.write();
        }
        let next = metrics.next();
        drop(metrics);
        for (scrape, text, problems) in answers {
            self.tell_scraped(&mut roster, &scrape, text, problems);
        }
        next
    }

    fn tell_scraped(&self, roster: &mut Roster, scrape: &Scrape, text: Vec<u8>, problems: Vec<String>) {
        let Scrape { asker, request, .. } = *scrape;
        let most = match roster.members.get(&asker) {
            Some(entry) => entry.max_payload,
            None if asker == MemberId::BROKER => usize::MAX,
            None => self.context.max_payload,
        };
        let failure = (text.len() > most).then(|| {
            format!(
                "the group's metrics are {} bytes, more than this process takes (processAgent.maxPayload)",
                text.len()
            )
        });
        let body = match failure {
            Some(_) => Body::none(),
            None => Body { codec: Codec::Text, bytes: Bytes::from(text) },
        };
        let scraped = Parcel::Scraped { request, problems, failure };
        if let Err(error) = self.deliver(roster, asker, scraped, body, None) {
            warn!("the group's metrics could not be told: {error}");
        }
    }

    /// Taken after the roster, where both are.
    fn metrics(&self) -> MutexGuard<'_, GroupMetrics> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
