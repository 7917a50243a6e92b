//! What the broker knows of the group's metrics, and who waits for them (no I/O but the file).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::super::Roster;
use crate::ipc::ask::Ask;
use crate::ipc::message::{MemberInfo, MemberState};
use crate::ipc::parcel::{Request, ScrapeId};
use crate::metrics::aggregate::Aggregate;
use crate::metrics::error::MetricsError;
use crate::metrics::fold::Folded;
use crate::metrics::own::{GroupReadings, MemberReading};
use crate::metrics::render::{Options, Problem};
use crate::metrics::schema::{Schema, SchemaId};
use crate::metrics::snapshot::Snapshot;
use crate::metrics::write::Format;
use crate::metrics::Incarnation;
use crate::role::metrics_file::MetricsFile;
use crate::role::MemberId;
use crate::time::{host_ms, millis, now_ms};

/// How often the folder's file follows what members push; it follows answers at once.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// How often it is said that series of the dead were folded.
const TELL_FOLDED_EVERY: Duration = Duration::from_secs(600);
/// Problems that an answer tells: they share its head, which is bounded.
const MAX_PROBLEMS: usize = 40;
/// Characters of one.
const MAX_PROBLEM: usize = 250;
/// The states of members, as the metrics say them: always all of them.
const STATES: [(&str, MemberState); 3] =
    [("starting", MemberState::Starting), ("ready", MemberState::Ready), ("leaving", MemberState::Leaving)];

/// See the module.
#[derive(Debug, Default)]
pub(in crate::ipc::broker) struct GroupMetrics {
    pub(super) aggregate: Aggregate,
    /// Where the next primary finds them.
    pub(super) file: Option<MetricsFile>,
    /// What each member has told last; `None` when it could not be taken.
    pub(super) schemas: BTreeMap<MemberId, Option<SchemaId>>,
    /// When each member has said its numbers last, in this tenure.
    pub(super) heard_at: BTreeMap<Incarnation, Instant>,
    pub(super) scrapes: BTreeMap<ScrapeId, Scrape>,
    pub(super) last_scrape: u64,
    /// How JavaScript of this process is asked.
    pub(super) ask: Ask,
    /// When those who have not joined again are gone.
    pub(super) settle: Option<(Instant, Duration)>,
    /// What the file does not hold yet must be there by then.
    pub(super) write_at: Option<Instant>,
    pub(super) written_at: Option<Instant>,
    /// They are the next primary's.
    pub(super) left: bool,
    /// Series that were folded away, of which nothing was said yet; and when something was.
    folded: usize,
    folded_told: Option<Instant>,
    /// The file can't be written, which was said.
    pub(super) unwritten: bool,
}

#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) asker: MemberId,
    pub(super) request: Request,
    pub(super) format: Format,
    /// The asker's own numbers come without being asked for.
    pub(super) tells: bool,
    pub(super) options: Options,
    pub(super) waiting: BTreeSet<MemberId>,
    pub(super) timeout: Duration,
    pub(super) deadline: Instant,
}

impl GroupMetrics {
    /// Whether a member of that state lives, and it is adopted.
    pub(super) fn adopt(&mut self, own: Incarnation, state: &[u8]) -> Result<bool, MetricsError> {
        let now = host_ms();
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
    pub(super) fn awaits_somebody(&self, own: Incarnation) -> bool {
        self.aggregate
            .members()
            .any(|known| known.adopted && known.incarnation.pid != own.pid && is_alive(known.incarnation.pid))
    }

    pub(super) fn join(&mut self, who: Incarnation) {
        let name = crate::metrics::process_label(who);
        if let Err(error) = self.aggregate.join(who, &name) {
            warn!("the metrics of pid {} are left out: {error}", who.pid);
        }
        // It may be the one that goes on with them.
        self.write_at = Some(Instant::now());
    }

    pub(super) fn put_schema(&mut self, from: MemberId, who: Incarnation, json: &[u8]) {
        let put = std::str::from_utf8(json)
            .map_err(|error| MetricsError::BadSchema(error.to_string()))
            .and_then(Schema::from_json)
            .and_then(|schema| self.aggregate.put_schema(who, schema));
        if let Err(error) = &put {
            self.aggregate.blame(who, error);
        }
        self.schemas.insert(from, put.ok());
        if let Some(folded) = self.aggregate.take_folded() {
            self.tell_folded(folded);
        }
    }

    /// Says it now and then, with what was folded meanwhile.
    fn tell_folded(&mut self, Folded { series, most }: Folded) {
        self.folded += series;
        let now = Instant::now();
        if self.folded_told.is_some_and(|told| now - told < TELL_FOLDED_EVERY) {
            return;
        }
        self.folded_told = Some(now);
        let of = most.map_or_else(String::new, |(family, label)| {
            format!(", most of them of {family}, whose label {label} has another value in each process")
        });
        warn!(
            "metrics: {} series of members that are gone were folded into others{of}: there was no room for those \
             that live. Leave such a label to processAgent.metrics.memberLabel: 'slot'",
            std::mem::take(&mut self.folded)
        );
    }

    /// Fails when the member has to tell its schema first. What is wrong with it in any other way, answers say.
    pub(super) fn put_snapshot(&mut self, from: MemberId, who: Incarnation, bytes: &[u8]) -> Result<(), ()> {
        let schema = match self.schemas.get(&from) {
            Some(Some(schema)) if self.aggregate.knows(*schema) => *schema,
            Some(None) => return Ok(()),
            _ => return Err(()),
        };
        let put = Snapshot::decode(bytes)
            .and_then(|snapshot| self.aggregate.put_snapshot(who, Snapshot { schema, ..snapshot }));
        self.heard_at.insert(who, Instant::now());
        if let Err(error) = put {
            self.aggregate.blame(who, &error);
        }
        let soon = self.written_at.map_or_else(Instant::now, |at| at + WRITE_EVERY);
        self.write_at.get_or_insert(soon);
        Ok(())
    }

    /// A member has said its numbers, for all scrapes that have asked for them up to `last`, and for those of its own.
    pub(super) fn note_answer(&mut self, from: MemberId, last: Option<ScrapeId>) {
        for (id, scrape) in &mut self.scrapes {
            if last.is_some_and(|last| *id <= last) || (scrape.tells && scrape.asker == from) {
                scrape.waiting.remove(&from);
            }
        }
    }

    pub(super) fn settle(&mut self, now: Instant) {
        if let Some((_, grace)) = self.settle.filter(|(at, _)| *at <= now) {
            self.settle = None;
            let gone = self.aggregate.settle(host_ms().saturating_add(millis(grace)), millis(grace));
            debug!("{} members have not joined again", gone.len());
            self.write_at = Some(now);
        }
    }

    pub(super) fn take_ended(&mut self, now: Instant) -> Vec<Scrape> {
        let is_ended = |scrape: &Scrape| scrape.waiting.is_empty() || scrape.deadline <= now;
        let ended: Vec<_> =
            self.scrapes.iter().filter(|(_, scrape)| is_ended(scrape)).map(|(id, _)| *id).collect();
        ended.into_iter().filter_map(|id| self.scrapes.remove(&id)).collect()
    }

    pub(super) fn answer(&mut self, epoch: u64, roster: &Roster, scrape: &Scrape) -> (Vec<u8>, Vec<String>) {
        let known: Vec<_> = self.aggregate.members().collect();
        self.heard_at.retain(|who, _| known.iter().any(|known| known.incarnation == *who));
        let now = now_ms();
        // What was heard in an earlier tenure has only the wall clock's time.
        let age = |who: Incarnation, at: u64| {
            let heard = self.heard_at.get(&who);
            heard.map_or_else(|| Duration::from_millis(now.saturating_sub(at)), Instant::elapsed)
        };
        let ages: BTreeMap<_, _> = known
            .iter()
            .filter_map(|known| Some((known.incarnation, age(known.incarnation, known.snapshot_ms?))))
            .collect();
        let infos: BTreeMap<_, _> = roster.infos().map(|info| (incarnation(info), info)).collect();
        let states = STATES
            .map(|(word, state)| (word, infos.values().filter(|info| info.state == state).count() as u64));
        let slots = known.iter().map(|known| known.slot.to_string()).collect::<Vec<_>>();
        let members = known.iter().zip(&slots).map(|(known, slot)| MemberReading {
            member: if scrape.options.slots { slot } else { &known.name },
            pid: known.incarnation.pid,
            lag: infos.get(&known.incarnation).map(|info| Duration::from_millis(info.lag_ms).as_secs_f64()),
            snapshot_age: ages.get(&known.incarnation).map(Duration::as_secs_f64),
        });
        let own = GroupReadings { epoch, states: states.into(), members: members.collect() };
        let rendered = self.aggregate.render(scrape.format, scrape.options, &own.families());
        let late = infos.iter().filter(|(_, info)| scrape.waiting.contains(&info.id)).map(|(who, info)| {
            let counts = ages.get(who).map_or("it is left out".to_owned(), |age| {
                format!("it counts with what it said {} ms before", millis(*age))
            });
            format!("pid {} has not answered within {} ms: {counts}", info.pid, millis(scrape.timeout))
        });
        let others = rendered.problems.iter().map(in_words);
        let problems =
            late.chain(others).take(MAX_PROBLEMS).map(|text| text.chars().take(MAX_PROBLEM).collect());
        (rendered.text, problems.collect())
    }

    pub(super) fn write(&mut self) {
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

    pub(super) fn next(&self) -> Option<Instant> {
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
pub(super) fn incarnation(member: &MemberInfo) -> Incarnation {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dead_make_room_for_a_member_and_that_is_said_now_and_then() {
        let mut metrics = GroupMetrics { aggregate: Aggregate::with_limit(100), ..GroupMetrics::default() };
        for pid in 1..300 {
            let who = incarnation(&MemberInfo::of(pid));
            let from = MemberId(pid);
            metrics.join(who);
            let series = format!(r#"[["",{{"pid":{pid}}}]]"#);
            let json = format!(r#"{{"families":[{{"name":"c_total","type":"counter","series":{series}}}]}}"#);
            metrics.put_schema(from, who, json.as_bytes());
            let schema = metrics.schemas[&from];
            assert!(schema.is_some(), "{pid} is left out");
            let bytes = crate::metrics::snapshot::wire(0, 1, 1, &[1.0], &[]);
            assert_eq!(metrics.put_snapshot(from, who, &bytes), Ok(()));
            metrics.aggregate.forget(who);
        }
        assert!(metrics.folded_told.is_some_and(|told| told.elapsed() < TELL_FOLDED_EVERY));
        // What was folded after it was said.
        assert!(metrics.folded > 100, "{}", metrics.folded);
    }
}
