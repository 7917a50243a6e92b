//! What members ask of each other through the broker, on real sockets, without Node.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Read;
use std::time::{Duration, Instant};

use bytes::Bytes;
use process_agent::agent::Options;
use process_agent::inbox::{Item, Letter, Notice};
use process_agent::ipc::frame::Codec;
use process_agent::ipc::parcel::{Body, GatherId, Missing, Parcel, Reason};
use process_agent::membership::Command;
use process_agent::role::Epoch;

use support::by_hand::joining;
use support::{options, Member};

fn text(text: &'static str) -> Body {
    Body { codec: Codec::Text, bytes: Bytes::from_static(text.as_bytes()) }
}

impl Member {
    fn request(&self, epoch: Epoch, parcel: Parcel, body: Body) {
        self.agent.tell(Command::Parcel(epoch, Box::new((parcel, body))));
    }

    fn gather(&self, epoch: Epoch, request: u32, timeout_ms: u32) {
        let parcel = Parcel::Gather { request, name: "#who".into(), timeout_ms, carrier: None };
        self.request(epoch, parcel, text("[]"));
    }

    fn answer(&self, epoch: Epoch, gather: GatherId, body: &'static str) {
        self.request(epoch, Parcel::Answer { gather, status: 0 }, text(body));
    }

    fn until_parcel<T>(&mut self, what: &str, pick: impl Fn(&Parcel, &Body) -> Option<T>) -> T {
        self.until(what, |item| match item {
            Item::Letter(Letter { notice: Notice::Parcel { parcel }, body, .. }) => pick(parcel, body),
            _ => None,
        })
    }

    fn until_asked(&mut self) -> GatherId {
        self.until_parcel("a question", |parcel, body| match parcel {
            Parcel::Ask { gather, name, .. } if name == "#who" && *body == text("[]") => Some(*gather),
            _ => None,
        })
    }

    fn until_gathered(&mut self, request: u32) -> Vec<Missing> {
        self.until_parcel("the end of a gather", |parcel, body| match parcel {
            Parcel::Gathered { request: of, .. } if *of == request => {
                Some(serde_json::from_slice(&body.bytes).unwrap())
            }
            _ => None,
        })
    }

    /// The bodies of what has come to it, in order.
    fn bodies(&self, pick: impl Fn(&Parcel) -> bool) -> Vec<String> {
        let letters = self.told.iter().filter_map(|(_, item)| match item {
            Item::Letter(Letter { notice: Notice::Parcel { parcel }, body, .. }) if pick(parcel) => {
                Some(String::from_utf8_lossy(&body.bytes).into_owned())
            }
            _ => None,
        });
        letters.collect()
    }
}

fn group<const N: usize>(runtime: &std::path::Path) -> (Epoch, [Member; N]) {
    let mut primary = Member::start(options(runtime));
    let epoch = primary.until_elected(Epoch(0));
    let mut first = Some(primary);
    let members = std::array::from_fn(|_| {
        first.take().unwrap_or_else(|| {
            let mut member = Member::start(options(runtime));
            member.until_following(Epoch(0));
            member.agent.tell(Command::Ready);
            member
        })
    });
    (epoch, members)
}

#[test]
fn a_question_reaches_every_other_member_and_each_answer_its_asker() {
    let runtime = tempfile::tempdir().unwrap();
    let (epoch, [mut primary, mut one, mut two]) = group(runtime.path());
    one.gather(epoch, 7, 10_000);
    for (member, said) in [(&mut primary, "1"), (&mut two, "2")] {
        let gather = member.until_asked();
        member.answer(epoch, gather, said);
    }
    assert_eq!(one.until_gathered(7), []);
    let mut answers = one.bodies(|parcel| matches!(parcel, Parcel::Outcome { request: 7, .. }));
    answers.sort();
    assert_eq!(answers, ["1", "2"]);
    assert!(one.bodies(|parcel| matches!(parcel, Parcel::Ask { .. })).is_empty());
}

#[test]
fn who_does_not_answer_in_time_is_missing_and_the_others_are_not() {
    let runtime = tempfile::tempdir().unwrap();
    let (epoch, [mut primary, mut silent, mut asker]) = group(runtime.path());
    let began = Instant::now();
    asker.gather(epoch, 1, 300);
    let gather = primary.until_asked();
    primary.answer(epoch, gather, "1");
    silent.until_asked();
    let missing = asker.until_gathered(1);
    assert_eq!(missing.iter().map(|each| each.reason).collect::<Vec<_>>(), [Reason::Timeout]);
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    // What comes after that is nobody's.
    silent.answer(epoch, gather, "late");
    asker.gather(epoch, 2, 50);
    asker.until_gathered(2);
    assert_eq!(asker.bodies(|parcel| matches!(parcel, Parcel::Outcome { .. })), ["1"]);
}

#[test]
fn a_member_that_goes_away_without_a_word_is_missing_at_once_and_one_that_said_it_leaves_is_not() {
    let runtime = tempfile::tempdir().unwrap();
    let (epoch, [mut primary, mut gone, mut leaving]) = group(runtime.path());
    primary.gather(epoch, 1, 10_000);
    gone.until_asked();
    leaving.until_asked();
    leaving.agent.tell(Command::HandOver { state: None, grace: Duration::ZERO });
    leaving.agent.tell(Command::Leave);
    gone.agent.abandon();
    let missing = primary.until_gathered(1);
    assert_eq!(missing.iter().map(|each| each.reason).collect::<Vec<_>>(), [Reason::Lost]);
}

#[test]
fn a_gather_that_hundreds_do_not_answer_ends() {
    let runtime = tempfile::tempdir().unwrap();
    let (epoch, [primary, mut asker]) = group(runtime.path());
    let socket = primary.agent.folder().join("socket");
    let silent: Vec<_> = (0..400)
        .map(|pid| {
            let mut control = joining(&socket, pid);
            // Its welcome.
            control.read_exact(&mut [0]).unwrap();
            control
        })
        .collect();
    asker.gather(epoch, 1, 200);
    // And the primary.
    assert_eq!(asker.until_gathered(1).len(), silent.len() + 1);
}

#[test]
fn an_answer_that_the_asker_does_not_take_is_missing_and_harms_nobody() {
    let runtime = tempfile::tempdir().unwrap();
    let (epoch, [_primary, mut large]) = group(runtime.path());
    let mut asker = Member::start(Options { max_payload: 1000, ..options(runtime.path()) });
    asker.until_following(Epoch(0));
    asker.gather(epoch, 1, 300);
    let gather = large.until_asked();
    let body = Body { codec: Codec::Text, bytes: "x".repeat(2000).into() };
    large.request(epoch, Parcel::Answer { gather, status: 0 }, body);
    let reasons: Vec<_> = asker.until_gathered(1).iter().map(|each| each.reason).collect();
    assert!(reasons.contains(&Reason::AnswerTooLarge), "{reasons:?}");
    asker.gather(epoch, 2, 50);
    asker.until_gathered(2);
}

#[test]
fn what_is_published_reaches_everybody_in_order() {
    let runtime = tempfile::tempdir().unwrap();
    let (epoch, [primary, one, mut two]) = group(runtime.path());
    for i in 0..500u32 {
        let body = Body { codec: Codec::Text, bytes: i.to_string().into() };
        one.request(epoch, Parcel::Publish { request: i + 1, topic: "t".into() }, body);
    }
    let expected: Vec<_> = (0..500).map(|i: u32| i.to_string()).collect();
    for mut member in [primary, one] {
        member.until_parcel("the last", |_, body| (body.bytes == "499").then_some(()));
        assert_eq!(member.bodies(|parcel| matches!(parcel, Parcel::Topic { .. })), expected);
    }
    two.until_parcel("the last", |_, body| (body.bytes == "499").then_some(()));
}

#[test]
fn a_primary_that_hands_over_lets_open_gathers_end_and_counts_what_it_has_taken() {
    let runtime = tempfile::tempdir().unwrap();
    let (epoch, [mut primary, mut asker, mut other]) = group(runtime.path());
    asker.gather(epoch, 1, 10_000);
    let gather = primary.until_asked();
    other.until_asked();
    primary.agent.tell(Command::HandOver { state: None, grace: Duration::from_secs(10) });
    // The primary waits for these two.
    asker.gather(epoch, 2, 10_000);
    primary.answer(epoch, gather, "1");
    other.answer(epoch, gather, "2");
    assert_eq!(asker.until_gathered(1), []);
    let account = asker.until_notice("the end of the tenure", |notice| match notice {
        Notice::Leaderless { written, taken } => Some((*written, *taken)),
        _ => None,
    });
    assert!(account.0 <= 2 && account.1 == Some(1), "{account:?}");
    assert_eq!(asker.bodies(|parcel| matches!(parcel, Parcel::Outcome { .. })).len(), 2);
}

#[test]
fn what_a_primary_leaves_reaches_the_next_one_and_not_the_one_after() {
    let runtime = tempfile::tempdir().unwrap();
    let (epoch, [primary, mut next]) = group(runtime.path());
    let state = Body { codec: Codec::Bytes, bytes: Bytes::from_static(&[0xff, 1, 2]) };
    primary.agent.tell(Command::HandOver { state: Some(state.clone()), grace: Duration::ZERO });
    let elected = next.until("the election", |item| match item {
        Item::Letter(Letter { notice: Notice::Elected { epoch, .. }, body, .. }) => {
            Some((*epoch, body.clone()))
        }
        _ => None,
    });
    assert_eq!(elected, (Epoch(epoch.0 + 1), state));
    next.agent.tell(Command::TookOver(elected.0));
    next.agent.end();
    let mut third = Member::start(options(runtime.path()));
    // Without a body: a plain notice.
    third.until_elected(elected.0);
}

#[test]
fn a_primary_that_leaves_before_it_has_taken_over_passes_on_what_was_left_to_it() {
    let runtime = tempfile::tempdir().unwrap();
    let (epoch, [primary, mut next, last]) = group(runtime.path());
    let state = Body { codec: Codec::Bytes, bytes: Bytes::from_static(&[0xff, 1, 2]) };
    let elected = |item: &Item, after: Epoch| match item {
        Item::Letter(Letter { notice: Notice::Elected { epoch, .. }, body, .. }) if *epoch > after => {
            Some((*epoch, body.clone()))
        }
        _ => None,
    };
    last.agent.tell(Command::HandOver { state: None, grace: Duration::ZERO });
    primary.agent.tell(Command::HandOver { state: Some(state.clone()), grace: Duration::ZERO });
    let (second, _) = next.until("the election", |item| elected(item, epoch));
    // It is stopped: it has nothing to hand over of its own.
    let mut third = Member::start(options(runtime.path()));
    third.until_following(epoch);
    next.agent.tell(Command::HandOver { state: None, grace: Duration::ZERO });
    next.agent.finish_lanes();
    let (third_epoch, left) = third.until("the next election", |item| elected(item, second));
    assert_eq!((third_epoch, left), (Epoch(second.0 + 1), state.clone()));
    third.agent.end();
    let mut fourth = Member::start(options(runtime.path()));
    assert_eq!(fourth.until("the last election", |item| elected(item, third_epoch)).1, state);
}

#[test]
fn a_primary_that_hands_over_leaves_at_once_when_it_is_told_to() {
    let runtime = tempfile::tempdir().unwrap();
    let (epoch, [mut primary, mut asker]) = group(runtime.path());
    asker.gather(epoch, 1, 60_000);
    primary.until_asked();
    primary.agent.tell(Command::HandOver { state: None, grace: Duration::from_secs(60) });
    let began = Instant::now();
    primary.agent.end();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    asker.until_elected(epoch);
}
