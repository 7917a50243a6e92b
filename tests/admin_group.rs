//! The endpoint, over real sockets, without Node: what it tells of the group, and who has its port.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use process_agent::admin::Limits;
use process_agent::inbox::{Item, Letter, Notice};
use process_agent::ipc::frame::Codec;
use process_agent::ipc::parcel::{Body, GatherId, Parcel, ScrapeId};
use process_agent::membership::Command;
use process_agent::metrics::schema::SchemaId;
use process_agent::metrics::snapshot::Snapshot;
use process_agent::role::Epoch;

use support::http::{admin, get, member, primary, Client, SOON};
use support::{Member, BOUND};

const SCHEMA: &str = r#"{"families":[{"name":"a_total","help":"A","type":"counter","series":[["",{}]]}]}"#;

impl Member {
    fn say(&self, epoch: Epoch, parcel: Parcel, codec: Codec, body: &[u8]) {
        let body = Body { codec, bytes: body.to_vec().into() };
        self.agent.tell(Command::Parcel(epoch, Box::new((parcel, body))));
    }

    fn until_parcel<T>(&mut self, what: &str, pick: impl Fn(&Parcel, &Body) -> Option<T>) -> T {
        self.until(what, |item| match item {
            Item::Letter(Letter { notice: Notice::Parcel { parcel }, body, .. }) => pick(parcel, body),
            _ => None,
        })
    }

    /// The question for its checks, with arguments.
    fn until_asked(&mut self) -> (GatherId, String) {
        self.until_parcel("a question", |parcel, body| match parcel {
            Parcel::Ask { gather, name, json: true, .. } if name == "!checks" => {
                Some((*gather, String::from_utf8(body.bytes.to_vec()).unwrap()))
            }
            _ => None,
        })
    }

    fn report(&mut self, epoch: Epoch, json: &str) {
        let (gather, arguments) = self.until_asked();
        assert_eq!(arguments, "[800]");
        self.say(epoch, Parcel::Answer { gather, status: 0 }, Codec::Text, json.as_bytes());
    }

    fn until_collected(&mut self) -> ScrapeId {
        self.until_parcel("a scrape", |parcel, _| match parcel {
            Parcel::Collect { scrape, .. } => Some(*scrape),
            _ => None,
        })
    }

    fn until_logged(&mut self, words: &str) -> String {
        self.until_notice(words, |notice| match notice {
            Notice::Log { message, .. } if message.contains(words) => Some(message.clone()),
            _ => None,
        })
    }
}

/// Waits until so many members have finished their start.
fn until_ready(address: SocketAddr, count: usize) {
    let deadline = Instant::now() + BOUND;
    loop {
        let members = get(address, "/members").json()["members"].clone();
        if members
            .as_array()
            .is_some_and(|all| all.len() == count && all.iter().all(|member| member["state"] == "ready"))
        {
            return;
        }
        assert!(Instant::now() < deadline, "{members}");
    }
}

#[test]
fn the_health_of_the_group_has_what_members_say_and_fails_with_the_reasons() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, address) = primary(runtime.path(), Limits::default());
    let epoch = primary.until_elected(Epoch(0));
    until_ready(address, 1);
    let asking = std::thread::spawn(move || get(address, "/health"));
    primary.report(epoch, r#"{"checks":[{"namespace":"db","status":true}]}"#);
    let well = asking.join().unwrap();
    assert_eq!((well.status, &well.json()["status"]), (200, &true.into()), "{well:?}");
    assert_eq!(well.json()["members"][0]["checks"][0]["namespace"], "db");

    let mut worker = member(runtime.path(), 2, &admin());
    worker.until_following(Epoch(0));
    until_ready(address, 2);
    let asking = std::thread::spawn(move || get(address, "/health"));
    worker.report(
        epoch,
        r#"{"checks":[{"namespace":"db","status":false,"reason":"no database"}],"failingSince":5}"#,
    );
    // The primary's JavaScript does not answer: what is seen of it counts.
    let failing = asking.join().unwrap();
    assert_eq!(failing.status, 503, "{failing:?}");
    let pid = std::process::id();
    let reason = format!("worker pid {pid} thread 2 (member 2): check db fails: no database");
    assert_eq!(
        (&failing.json()["reason"], &failing.json()["members"][1]["since"]),
        (&reason.into(), &5.into())
    );
}

#[test]
fn what_is_no_report_is_left_out_and_ends_nobody() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, address) = primary(runtime.path(), Limits::default());
    let epoch = primary.until_elected(Epoch(0));
    until_ready(address, 1);
    let huge = format!(r#"{{"checks":[{{"namespace":"{}","status":false}}]}}"#, "x".repeat(2_000_000));
    for (status, codec, said) in [
        (0, Codec::Text, r#"{"checks":[{"namespace":7}]}"#),
        (0, Codec::Text, "null"),
        (0, Codec::Bytes, "{}"),
        (2, Codec::Text, r#"{"checks":[]}"#),
        (0, Codec::Text, &huge),
    ] {
        let asking = std::thread::spawn(move || get(address, "/health"));
        let (gather, _) = primary.until_asked();
        primary.told.clear();
        primary.say(epoch, Parcel::Answer { gather, status }, codec, said.as_bytes());
        let answer = asking.join().unwrap();
        assert_eq!((answer.status, answer.json()["members"][0].get("checks")), (200, None), "{answer:?}");
    }
}

#[test]
fn a_member_whose_event_loop_is_stuck_is_named_at_once() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, address) = primary(runtime.path(), Limits::default());
    // Nobody takes anything out of its inbox from now on.
    primary.take();
    let deadline = Instant::now() + BOUND;
    loop {
        let answer = get(address, "/health");
        if answer.status == 503 {
            assert!(answer.body.contains("its event loop has been stuck for"), "{answer:?}");
            break;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
    }
    // It is not waited for; a busy machine may take its time, but not each time.
    let soonest = (0..5).map(|_| {
        let began = Instant::now();
        assert_eq!(get(address, "/health").status, 503);
        began.elapsed()
    });
    assert!(soonest.min().unwrap() < Duration::from_millis(300));
}

#[test]
fn metrics_are_added_up_and_come_in_the_format_that_the_client_wants() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, address) = primary(runtime.path(), Limits::default());
    let epoch = primary.until_elected(Epoch(0));
    let mut worker = member(runtime.path(), 2, &admin());
    worker.until_following(Epoch(0));
    primary.say(epoch, Parcel::Schema {}, Codec::Text, SCHEMA.as_bytes());
    worker.say(epoch, Parcel::Schema {}, Codec::Text, SCHEMA.as_bytes());
    for (sequence, accept, content_type, last) in [
        (1, "", "text/plain; version=0.0.4; charset=utf-8", "\n"),
        (
            2,
            "application/openmetrics-text",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "# EOF\n",
        ),
    ] {
        let asking = std::thread::spawn(move || {
            Client::connect(address).get("/metrics", &format!("Accept: {accept}\r\n"))
        });
        for (each, value) in [(&mut primary, 2.0), (&mut worker, 3.0)] {
            let scrape = each.until_collected();
            each.told.clear();
            let values = vec![value];
            let snapshot =
                Snapshot { schema: SchemaId(0), sequence, time_ms: sequence, values, exemplars: vec![] };
            each.say(epoch, Parcel::Snapshot { scrape: Some(scrape) }, Codec::Bytes, &snapshot.encode());
        }
        let answer = asking.join().unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.has(&format!("content-type: {content_type}")), "{answer:?}");
        assert!(answer.body.contains("\na_total 5\n") && answer.body.ends_with(last), "{answer:?}");
    }
}

#[test]
fn who_does_not_answer_a_scrape_costs_the_timeout_and_many_who_ask_at_once_cost_it_twice() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, address) = primary(runtime.path(), Limits::default());
    let began = Instant::now();
    let asking: Vec<_> = (0..20).map(|_| std::thread::spawn(move || get(address, "/metrics"))).collect();
    for each in asking {
        let answer = each.join().unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.body.contains("process_agent_epoch"), "{answer:?}");
    }
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(1) && took < SOON, "{took:?}");
    primary.until_logged("has not answered within 1000 ms");
    let logs = primary.notices().filter(
        |notice| matches!(notice, Notice::Log { message, .. } if message.contains("has not answered")),
    );
    assert_eq!(logs.count(), 1);
}

#[test]
fn the_next_primary_takes_the_port_over_and_a_member_that_leaves_frees_it() {
    let runtime = tempfile::tempdir().unwrap();
    let admin = admin();
    let mut members: Vec<_> = (1..=3)
        .map(|thread_id| {
            let mut started = member(runtime.path(), thread_id, &admin);
            started.until_role(Epoch(0));
            started
        })
        .collect();
    let epoch = || get(admin.address, "/live").json()["epoch"].as_u64().unwrap();
    let first = epoch();
    // A client that stays connected is not in the way.
    let mut staying = Client::connect(admin.address);
    assert_eq!(staying.get("/live", "").status, 200);
    let ended = Instant::now();
    members.remove(0).agent.abandon();
    let second = epoch();
    assert!(second > first && ended.elapsed() < SOON, "{:?}", ended.elapsed());
    assert!(staying.answer(true).is_none());
    let leads = members.iter_mut().position(|each| {
        each.take();
        each.notices().any(|notice| matches!(notice, Notice::Elected { .. }))
    });
    let ended = Instant::now();
    members.remove(leads.unwrap()).agent.end();
    assert!(epoch() > second && ended.elapsed() < SOON, "{:?}", ended.elapsed());
    members.remove(0).agent.end();
    TcpListener::bind(admin.address).unwrap();
}

#[test]
fn a_port_that_somebody_else_has_is_complained_of_once_and_taken_when_it_is_free() {
    let runtime = tempfile::tempdir().unwrap();
    let admin = admin();
    let taken = TcpListener::bind(admin.address).unwrap();
    let mut primary = member(runtime.path(), 1, &admin);
    let complaint = primary.until_logged("can't listen");
    assert!(
        complaint.contains(&admin.address.to_string()) && complaint.contains("admin.port"),
        "{complaint}"
    );
    drop(taken);
    let freed = Instant::now();
    assert_eq!(get(admin.address, "/live").status, 200);
    assert!(freed.elapsed() < SOON, "{:?}", freed.elapsed());
    primary.until_logged("the admin endpoint is");
    let complaints = primary.notices().filter(|notice| matches!(notice, Notice::Log { level: "warn", .. }));
    assert_eq!(complaints.count(), 1);
    // It was a member all the time.
    member(runtime.path(), 2, &admin).until_following(Epoch(0));
}
