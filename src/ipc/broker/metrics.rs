//! The group's metrics: what members push and are asked for becomes one exposition, here, in the agent's thread.
//!
//! A scrape asks every member, the asker too, for the numbers of now, and is answered when all have said them or time is
//! up: who has not, counts with what it said last. Whatever an answer shows is in the group's folder before it leaves, so
//! that the next primary shows no less.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tracing::{debug, warn};

use super::{Broker, Roster};
use crate::error::Result;
use crate::inbox::Letter;
use crate::ipc::frame::Codec;
use crate::ipc::message::{MemberInfo, MemberState};
use crate::ipc::parcel::{Body, Parcel, Request, ScrapeId};
use crate::metrics::aggregate::Aggregate;
use crate::metrics::error::MetricsError;
use crate::metrics::own::{GroupReadings, MemberReading};
use crate::metrics::render::{Options, Problem, Quantiles};
use crate::metrics::schema::{Schema, SchemaId};
use crate::metrics::snapshot::Snapshot;
use crate::metrics::write::Format;
use crate::metrics::Incarnation;
use crate::role::metrics_file::MetricsFile;
use crate::role::MemberId;
use crate::time::{millis, now_ms};

/// How often the folder's file follows what members push; it follows answers at once.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// More scrapes at once are answered with what is known.
const MAX_SCRAPES: usize = 256;
/// No scrape waits longer.
const LONGEST: Duration = Duration::from_secs(3600);
/// Problems that an answer tells: they share its head, which is bounded.
const MAX_PROBLEMS: usize = 40;
/// Characters of one.
const MAX_PROBLEM: usize = 250;
/// The states of members, as the metrics say them: always all of them.
const STATES: [(&str, MemberState); 3] =
    [("starting", MemberState::Starting), ("ready", MemberState::Ready), ("leaving", MemberState::Leaving)];

/// See the module.
#[derive(Debug, Default)]
pub(super) struct GroupMetrics {
    aggregate: Aggregate,
    /// Where the next primary finds them.
    file: Option<MetricsFile>,
    /// What each member has told last; `None` when it could not be taken.
    schemas: BTreeMap<MemberId, Option<SchemaId>>,
    scrapes: BTreeMap<ScrapeId, Scrape>,
    last_scrape: u64,
    /// When those who have not joined again are gone.
    settle: Option<(Instant, Duration)>,
    /// What the file does not hold yet must be there by then.
    write_at: Option<Instant>,
    written_at: Option<Instant>,
    /// They are the next primary's.
    left: bool,
    /// The file can't be written, which was said.
    unwritten: bool,
}

#[derive(Debug)]
struct Scrape {
    asker: MemberId,
    request: Request,
    format: Format,
    options: Options,
    waiting: BTreeSet<MemberId>,
    timeout: Duration,
    deadline: Instant,
}

impl Broker {
    /// Goes on with what the previous primary has kept in `folder`, and keeps it there from now on. Its members that
    /// have not joined again after `grace` are gone. If none of them lives, the group begins anew.
    pub fn keep_metrics(&self, folder: &Path, grace: Duration) {
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
                    return self.deliver(roster, from, Parcel::WantSchema { scrape }, Body::none());
                }
                let mut metrics = self.metrics();
                if let Some(scrape) = scrape.and_then(|id| metrics.scrapes.get_mut(&id)) {
                    scrape.waiting.remove(&from);
                }
                self.metrics_changed.notify_one();
                Ok(())
            }
            Parcel::Scrape { request, timeout_ms, open_metrics, members_apart, max_quantiles } => {
                let quantiles = if max_quantiles { Quantiles::Max } else { Quantiles::Drop };
                let timeout = Duration::from_millis(u64::from(timeout_ms));
                let format = if open_metrics { Format::OpenMetrics } else { Format::Text };
                self.scrape(roster, (from, request), format, Options { members_apart, quantiles }, timeout)
            }
            _ => Ok(()),
        }
    }

    /// Asks every member for its metrics; the answer is for the asker.
    pub(super) fn scrape(
        &self,
        roster: &mut Roster,
        (asker, request): (MemberId, Request),
        format: Format,
        options: Options,
        timeout: Duration,
    ) -> Result<()> {
        let timeout = timeout.min(LONGEST);
        let (waiting, deadline) = (BTreeSet::new(), Instant::now() + timeout);
        self.collect(roster, Scrape { asker, request, format, options, waiting, timeout, deadline })
    }

    fn collect(&self, roster: &mut Roster, mut scrape: Scrape) -> Result<()> {
        let mut metrics = self.metrics();
        metrics.last_scrape += 1;
        let id = ScrapeId(metrics.last_scrape);
        let until = now_ms().saturating_add(millis(scrape.timeout));
        let asks = metrics.scrapes.len() < MAX_SCRAPES;
        if asks {
            scrape.waiting.insert(roster.primary.id);
            scrape.waiting.extend(roster.members.keys());
        }
        metrics.scrapes.insert(id, scrape);
        drop(metrics);
        if asks {
            let ask = Parcel::Collect { scrape: id, until };
            let bytes = ask.to_bytes(self.epoch, &Body::none())?;
            self.send_to_all(roster, None, &bytes);
            // Without room its JavaScript is stuck: time will be up.
            let letter = Letter { expires: Some(until), ..Letter::of(ask, Body::none()) };
            let _ = self.context.inbox.try_post(letter);
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
        if let Err(error) = self.deliver(roster, asker, Parcel::Scraped { request, problems, failure }, body)
        {
            warn!("the group's metrics could not be told: {error}");
        }
    }

    /// Taken after the roster, where both are.
    fn metrics(&self) -> MutexGuard<'_, GroupMetrics> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GroupMetrics {
    /// Whether a member of that state lives, and it is adopted.
    fn adopt(&mut self, own: Incarnation, state: &[u8]) -> Result<bool, MetricsError> {
        let now = now_ms();
        let lives = Aggregate::from_bytes(state, now)?.members().any(|known| {
            let who = known.incarnation;
            who == own || (who.pid != own.pid && is_alive(who.pid))
        });
        if lives {
            self.aggregate.adopt(state, now)?;
        }
        Ok(lives)
    }

    /// Whether a member of the previous tenure, which has not joined yet, may still do so.
    fn awaits_somebody(&self, own: Incarnation) -> bool {
        self.aggregate
            .members()
            .any(|known| known.adopted && known.incarnation.pid != own.pid && is_alive(known.incarnation.pid))
    }

    fn join(&mut self, who: Incarnation) {
        let name = crate::metrics::process_label(who);
        if let Err(error) = self.aggregate.join(who, &name) {
            warn!("the metrics of pid {} are left out: {error}", who.pid);
        }
        // It may be the one that goes on with them.
        self.write_at = Some(Instant::now());
    }

    fn put_schema(&mut self, from: MemberId, who: Incarnation, json: &[u8]) {
        let put = std::str::from_utf8(json)
            .map_err(|error| MetricsError::BadSchema(error.to_string()))
            .and_then(Schema::from_json)
            .and_then(|schema| self.aggregate.put_schema(who, schema));
        if let Err(error) = &put {
            self.aggregate.blame(who, error);
        }
        self.schemas.insert(from, put.ok());
    }

    /// Fails when the member has to tell its schema first. What is wrong with it in any other way, answers say.
    fn put_snapshot(&mut self, from: MemberId, who: Incarnation, bytes: &[u8]) -> Result<(), ()> {
        let schema = match self.schemas.get(&from) {
            Some(Some(schema)) if self.aggregate.knows(*schema) => *schema,
            Some(None) => return Ok(()),
            _ => return Err(()),
        };
        let put = Snapshot::decode(bytes)
            .and_then(|snapshot| self.aggregate.put_snapshot(who, Snapshot { schema, ..snapshot }));
        if let Err(error) = put {
            self.aggregate.blame(who, &error);
        }
        let soon = self.written_at.map_or_else(Instant::now, |at| at + WRITE_EVERY);
        self.write_at.get_or_insert(soon);
        Ok(())
    }

    fn settle(&mut self, now: Instant) {
        if let Some((_, grace)) = self.settle.filter(|(at, _)| *at <= now) {
            self.settle = None;
            let gone = self.aggregate.settle(now_ms().saturating_add(millis(grace)), millis(grace));
            debug!("{} members have not joined again", gone.len());
            self.write_at = Some(now);
        }
    }

    fn take_ended(&mut self, now: Instant) -> Vec<Scrape> {
        let is_ended = |scrape: &Scrape| scrape.waiting.is_empty() || scrape.deadline <= now;
        let ended: Vec<_> =
            self.scrapes.iter().filter(|(_, scrape)| is_ended(scrape)).map(|(id, _)| *id).collect();
        ended.into_iter().filter_map(|id| self.scrapes.remove(&id)).collect()
    }

    fn answer(&mut self, epoch: u64, roster: &Roster, scrape: &Scrape) -> (Vec<u8>, Vec<String>) {
        let now = now_ms();
        let known: Vec<_> = self.aggregate.members().collect();
        let infos: BTreeMap<_, _> = roster.infos().map(|info| (incarnation(info), info)).collect();
        let age = |at: u64| Duration::from_millis(now.saturating_sub(at)).as_secs_f64();
        let states = STATES
            .map(|(word, state)| (word, infos.values().filter(|info| info.state == state).count() as u64));
        let members = known.iter().map(|known| MemberReading {
            member: &known.name,
            pid: known.incarnation.pid,
            lag: infos.get(&known.incarnation).map(|info| Duration::from_millis(info.lag_ms).as_secs_f64()),
            snapshot_age: known.snapshot_ms.map(age),
        });
        let own = GroupReadings { epoch, states: states.into(), members: members.collect() };
        let rendered = self.aggregate.render(scrape.format, scrape.options, &own.families());
        let ages: BTreeMap<_, _> =
            known.iter().filter_map(|known| Some((known.incarnation, known.snapshot_ms?))).collect();
        let late = infos.iter().filter(|(_, info)| scrape.waiting.contains(&info.id)).map(|(who, info)| {
            let counts = ages.get(who).map_or("it is left out".to_owned(), |at| {
                format!("it counts with what it said {} ms before", now.saturating_sub(*at))
            });
            format!("pid {} has not answered within {} ms: {counts}", info.pid, millis(scrape.timeout))
        });
        let others = rendered.problems.iter().map(in_words);
        let problems =
            late.chain(others).take(MAX_PROBLEMS).map(|text| text.chars().take(MAX_PROBLEM).collect());
        (rendered.text, problems.collect())
    }

    fn write(&mut self) {
        let Some(file) = &mut self.file else { return };
        self.write_at = None;
        self.written_at = Some(Instant::now());
        match file.keep(&self.aggregate.to_bytes()) {
            Ok(()) => self.unwritten = false,
            Err(error) if !self.unwritten => {
                self.unwritten = true;
                warn!("the next primary will not know this one's metrics: they can't be written: {error}");
            }
            Err(_) => {}
        }
    }

    fn next(&self) -> Option<Instant> {
        let scrapes = self.scrapes.values().map(|scrape| scrape.deadline);
        scrapes.chain(self.settle.map(|(at, _)| at)).chain(self.write_at).min()
    }
}

impl Roster {
    fn infos(&self) -> impl Iterator<Item = &MemberInfo> {
        std::iter::once(&self.primary).chain(self.members.values().map(|entry| &entry.info))
    }
}

fn in_words(problem: &Problem) -> String {
    let of = match (&problem.member, &problem.family) {
        (Some(member), Some(family)) => format!("{family} of member {member}: "),
        (Some(member), None) => format!("member {member}: "),
        (None, Some(family)) => format!("{family}: "),
        (None, None) => String::new(),
    };
    of + &problem.reason
}

/// The applications of one process have groups of their own: none has a second member in it.
fn incarnation(member: &MemberInfo) -> Incarnation {
    Incarnation { started_at: member.started_at, pid: member.pid, thread: member.thread_id, application: 0 }
}

/// Whether there is such a process. It may be another one with that pid: then the group's counters just go on.
///
/// # Platform-specific behaviour
/// Windows: always.
fn is_alive(pid: u32) -> bool {
    #[cfg(unix)]
    {
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        pid.is_some_and(|pid| {
            !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
        })
    }
    #[cfg(not(unix))]
    {
        let _ = pid;
        true
    }
}
