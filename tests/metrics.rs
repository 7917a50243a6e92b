//! The group's metrics through the broker, on real sockets, without Node: what a member says wrongly costs itself.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use process_agent::agent::Options;
use process_agent::inbox::{Item, Letter, Notice};
use process_agent::ipc::frame::Codec;
use process_agent::ipc::parcel::{Body, Parcel, ScrapeId};
use process_agent::membership::Command;
use process_agent::metrics::schema::SchemaId;
use process_agent::metrics::snapshot::Snapshot;
use process_agent::role::Epoch;

use support::{options, Member, BOUND};

const SCHEMA: &str = r#"{"families":[{"name":"a_total","help":"A","type":"counter","series":[["",{}]]}]}"#;

/// The threads of one process are told apart by their ids.
fn thread(runtime: &Path, thread_id: u32) -> Options {
    Options { thread_id, ..options(runtime) }
}

impl Member {
    fn say(&self, epoch: Epoch, parcel: Parcel, body: &[u8]) {
        let body = Body { codec: Codec::Bytes, bytes: Bytes::copy_from_slice(body) };
        self.agent.tell(Command::Parcel(epoch, Box::new((parcel, body))));
    }

    fn count(&self, epoch: Epoch, scrape: Option<ScrapeId>, sequence: u64, value: f64) {
        let snapshot = Snapshot {
            schema: SchemaId(0),
            sequence,
            time_ms: sequence,
            values: vec![value],
            exemplars: vec![],
        };
        self.say(epoch, Parcel::Snapshot { scrape }, &snapshot.encode());
    }

    fn scrape(&self, epoch: Epoch, request: u32, timeout_ms: u32) {
        self.scrape_and_tell(epoch, request, timeout_ms, false);
    }

    fn scrape_and_tell(&self, epoch: Epoch, request: u32, timeout_ms: u32, tells: bool) {
        let (open_metrics, members_apart, slots, max_quantiles) = (false, false, false, false);
        let parcel =
            Parcel::Scrape { request, timeout_ms, open_metrics, members_apart, slots, max_quantiles, tells };
        self.agent.say(epoch, parcel, Body::none());
    }

    fn parcels(&self) -> impl Iterator<Item = &Parcel> {
        self.told.iter().filter_map(|(_, item)| match item {
            Item::Letter(Letter { notice: Notice::Parcel { parcel }, .. }) => Some(parcel),
            _ => None,
        })
    }

    fn until_parcel<T>(&mut self, what: &str, pick: impl Fn(&Parcel, &Body) -> Option<T>) -> T {
        self.until(what, |item| match item {
            Item::Letter(Letter { notice: Notice::Parcel { parcel }, body, .. }) => pick(parcel, body),
            _ => None,
        })
    }

    /// The number of the `nth` scrape that it was asked in.
    fn until_collected(&mut self, nth: u64) -> ScrapeId {
        self.until_parcel("a scrape", |parcel, _| match parcel {
            Parcel::Collect { scrape, .. } if scrape.0 == nth => Some(*scrape),
            _ => None,
        })
    }

    fn until_scraped(&mut self, request: u32) -> (String, Vec<String>) {
        self.until_parcel("the answer", |parcel, body| match parcel {
            Parcel::Scraped { request: of, problems, failure: None } if *of == request => {
                Some((String::from_utf8(body.bytes.to_vec()).unwrap(), problems.clone()))
            }
            _ => None,
        })
    }
}

fn pair(runtime: &Path) -> (Member, Member, Epoch) {
    let mut primary = Member::start(thread(runtime, 1));
    let epoch = primary.until_elected(Epoch(0));
    let mut member = Member::start(thread(runtime, 2));
    member.until_following(Epoch(0));
    (primary, member, epoch)
}

#[test]
fn a_scrape_is_answered_when_all_have_said_theirs_and_has_the_sum() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, mut member, epoch) = pair(runtime.path());
    let began = Instant::now();
    member.scrape(epoch, 7, 10_000);
    for (each, value) in [(&mut primary, 2.0), (&mut member, 3.0)] {
        let scrape = each.until_collected(1);
        each.say(epoch, Parcel::Schema {}, SCHEMA.as_bytes());
        each.count(epoch, Some(scrape), 1, value);
    }
    let (text, problems) = member.until_scraped(7);
    assert!(text.contains("\na_total 5\n"), "{text}");
    assert!(text.contains(&format!("\nprocess_agent_epoch {epoch}\n")), "{text}");
    assert_eq!(problems, Vec::<String>::new());
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn who_asks_tells_its_own_and_is_not_asked_for_it() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, mut member, epoch) = pair(runtime.path());
    for (request, asks_first) in [(1, true), (2, false)] {
        let (asker, other) =
            if asks_first { (&mut primary, &mut member) } else { (&mut member, &mut primary) };
        let value = 100.0 * f64::from(request);
        asker.scrape_and_tell(epoch, request, 10_000, true);
        assert!(asker.agent.say_metrics(epoch, None, Some(SCHEMA.into()), &[value], None));
        let scrape = other.until_collected(request.into());
        assert!(other.agent.say_metrics(epoch, Some(scrape), Some(SCHEMA.into()), &[10.0 + value], None));
        let (text, problems) = asker.until_scraped(request);
        assert!(text.contains(&format!("\na_total {}\n", 10.0 + 2.0 * value)), "{text}");
        assert_eq!(problems, Vec::<String>::new());
    }
    let asked = |member: &Member| {
        let collects = member.parcels().filter(|parcel| matches!(parcel, Parcel::Collect { .. }));
        collects.count()
    };
    assert_eq!((asked(&primary), asked(&member)), (1, 1));
}

#[test]
fn one_answer_is_one_to_all_scrapes_that_were_asked_before() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, mut member, epoch) = pair(runtime.path());
    for request in [1, 2] {
        primary.scrape_and_tell(epoch, request, 10_000, true);
        assert!(primary.agent.say_metrics(epoch, None, Some(SCHEMA.into()), &[1.0], None));
    }
    let last = member.until_collected(2);
    assert!(member.agent.say_metrics(epoch, Some(last), Some(SCHEMA.into()), &[2.0], None));
    for request in [1, 2] {
        assert_eq!(primary.until_scraped(request).1, Vec::<String>::new());
    }
}

/// Snapshots that the socket does not take at once, from one thread, and messages and what is large of the other one.
#[test]
fn frames_of_both_threads_stay_whole_and_in_order() {
    // Small enough for the JavaScript thread; the schema is not.
    frames_stay_whole_and_in_order(8_000);
    frames_stay_whole_and_in_order(20_000);
}

fn frames_stay_whole_and_in_order(series: usize) {
    let count = series;
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, mut member, epoch) = pair(runtime.path());
    let series = vec![r#"["",{"n":"0"}]"#; count].iter().enumerate().fold(String::new(), |all, (n, one)| {
        all + if n > 0 { "," } else { "" } + &one.replace('0', &n.to_string())
    });
    let schema =
        format!(r#"{{"families":[{{"name":"a_total","help":"A","type":"counter","series":[{series}]}}]}}"#);
    let mut schema = Some(schema);
    let mut told = 0.0;
    for request in 0..200 {
        let value = f64::from(request);
        if member.agent.say_metrics(epoch, None, schema.clone(), &vec![value; count], None) {
            (schema, told) = (None, value);
        }
        member.agent.tell(Command::ListMembers(request));
    }
    member.until_notice("the last list", |notice| {
        matches!(notice, Notice::Members { request: 199, .. }).then_some(())
    });
    assert!(primary.agent.say_metrics(epoch, None, Some(SCHEMA.into()), &[0.0], None));
    // What is large may come behind the lists.
    let wanted = format!("\na_total{{n=\"{}\"}} {told}\n", count - 1);
    let deadline = Instant::now() + BOUND;
    for request in 1.. {
        primary.scrape(epoch, request, 50);
        let (text, problems) = primary.until_scraped(request);
        if text.contains(&wanted) {
            break;
        }
        assert!(Instant::now() < deadline, "{told}: {problems:?}");
    }
}

#[test]
fn who_has_not_told_its_schema_is_asked_for_it_and_the_scrape_waits_for_that() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, mut member, epoch) = pair(runtime.path());
    primary.say(epoch, Parcel::Schema {}, SCHEMA.as_bytes());
    primary.scrape(epoch, 7, 10_000);
    let scrape = primary.until_collected(1);
    primary.count(epoch, Some(scrape), 1, 2.0);
    member.until_collected(1);
    member.count(epoch, Some(scrape), 1, 3.0);
    let wanted = member.until_parcel("a question", |parcel, _| match parcel {
        Parcel::WantSchema { scrape } => Some(*scrape),
        _ => None,
    });
    assert_eq!(wanted, Some(scrape));
    member.say(epoch, Parcel::Schema {}, SCHEMA.as_bytes());
    member.count(epoch, wanted, 2, 3.0);
    assert!(primary.until_scraped(7).0.contains("\na_total 5\n"));
}

#[test]
fn garbage_of_one_member_is_reported_and_what_it_said_before_counts() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, mut member, epoch) = pair(runtime.path());
    primary.say(epoch, Parcel::Schema {}, SCHEMA.as_bytes());
    member.say(epoch, Parcel::Schema {}, SCHEMA.as_bytes());
    member.count(epoch, None, 1, 3.0);
    let misfit =
        Snapshot { schema: SchemaId(0), sequence: 2, time_ms: 2, values: vec![1.0; 9], exemplars: vec![] };
    let garbage: [(&[u8], bool, &str); 3] =
        [(b"garbage", false, "PAS1"), (&misfit.encode(), false, "9 numbers"), (b"\xff{", true, "schema")];
    for (request, (bytes, is_schema, reason)) in (1..).zip(garbage) {
        primary.scrape(epoch, request, 10_000);
        let scrape = primary.until_collected(u64::from(request));
        primary.count(epoch, Some(scrape), u64::from(request), 2.0);
        member.until_collected(u64::from(request));
        if is_schema {
            member.say(epoch, Parcel::Schema {}, bytes);
        }
        member.say(epoch, Parcel::Snapshot { scrape: Some(scrape) }, bytes);
        let (text, problems) = primary.until_scraped(request);
        assert!(text.contains("\na_total 5\n"), "{text}");
        assert!(problems.iter().any(|problem| problem.contains(reason)), "{problems:?}");
    }
    // It is still a member, and says it right again.
    member.say(epoch, Parcel::Schema {}, SCHEMA.as_bytes());
    member.count(epoch, None, 9, 4.0);
    member.scrape(epoch, 9, 100);
    let (text, problems) = member.until_scraped(9);
    assert!(text.contains("\na_total 6\n"), "{text}");
    // Neither has answered this one.
    assert_eq!(problems.iter().filter(|problem| problem.contains("has not answered")).count(), 2);
}

#[test]
fn an_answer_that_is_too_large_for_its_asker_is_a_failure_and_not_the_end() {
    let runtime = tempfile::tempdir().unwrap();
    let mut primary = Member::start(thread(runtime.path(), 1));
    let epoch = primary.until_elected(Epoch(0));
    let mut member = Member::start(Options { max_payload: 300, ..thread(runtime.path(), 2) });
    member.until_following(Epoch(0));
    member.scrape(epoch, 7, 0);
    let why = member.until_parcel("the answer", |parcel, _| match parcel {
        Parcel::Scraped { failure, .. } => Some(failure.clone()),
        _ => None,
    });
    assert!(why.unwrap().contains("maxPayload"));
    primary.take();
    assert!(!primary.notices().any(|notice| matches!(notice, Notice::MemberLeft { .. })));
}
