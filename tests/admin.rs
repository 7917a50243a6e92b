//! The endpoint, over real sockets, without Node: what it answers, and what clients may cost it.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use process_agent::admin::Limits;
use process_agent::role::Epoch;

use support::http::{admin, get, member, primary, Client, SOON};
use support::BOUND;

#[test]
fn it_answers_its_four_paths_and_nothing_else() {
    let runtime = tempfile::tempdir().unwrap();
    let (_primary, address) = primary(runtime.path(), Limits::default());
    let mut client = Client::connect(address);
    let live = client.get("/live?x=1", "");
    assert_eq!((live.status, &live.json()["pid"]), (200, &std::process::id().into()));
    let members = client.get("/members", "");
    assert!(members.has("content-type: application/json; charset=utf-8"), "{members:?}");
    assert_eq!(
        (&members.json()["group"], &members.json()["members"][0]["role"]),
        (&"test".into(), &"primary".into())
    );
    for path in ["/", "/live/", "/metricsx", "//live", "/../live", "/%6cive", "http://x/members/1"] {
        assert_eq!(client.get(path, "").status, 404, "{path}");
    }
    // A proxy's way to say it.
    assert_eq!(client.get("http://x/live", "").status, 200);
}

#[test]
fn head_gives_the_head_alone_and_old_clients_are_answered_too() {
    let runtime = tempfile::tempdir().unwrap();
    let (_primary, address) = primary(runtime.path(), Limits::default());
    let mut client = Client::connect(address);
    client.say("HEAD /live HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = client.answer(false).unwrap();
    assert_eq!(head.status, 200);
    let length = client.get("/live", "").body.len();
    assert!(head.has(&format!("content-length: {length}")), "{head:?}");
    let mut old = Client::connect(address);
    assert_eq!(old.say("GET /live HTTP/1.0\r\n\r\n").answer(true).unwrap().status, 200);
    old.until_closed();
}

#[test]
fn what_is_no_proper_request_is_refused_and_the_next_client_is_answered() {
    let runtime = tempfile::tempdir().unwrap();
    let (_primary, address) = primary(runtime.path(), Limits::default());
    let many = "x: y\r\n".repeat(200);
    let large = format!("x: {}\r\n", "y".repeat(20_000));
    for (bytes, status) in [
        (b"POST /live HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello".to_vec(), Some(405)),
        (b"DELETE /health HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), Some(405)),
        (b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n".to_vec(), Some(404)),
        (b"GET /live HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello".to_vec(), Some(400)),
        (b"GET /live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), Some(400)),
        (b"GET /live HTTP/1.1\r\n\r\n".to_vec(), Some(400)),
        (b"\x00\xff\xfe garbage \x80\r\n\r\n".to_vec(), Some(400)),
        (b"GET /li\x00ve HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), Some(400)),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), Some(400)),
        (b"GET /live HTTP/9.9\r\nHost: x\r\n\r\n".to_vec(), Some(400)),
        (format!("GET /live HTTP/1.1\r\nHost: x\r\n{many}\r\n").into_bytes(), Some(431)),
        (format!("GET /live HTTP/1.1\r\nHost: x\r\n{large}\r\n").into_bytes(), Some(431)),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), None),
    ] {
        let mut client = Client::connect(address);
        let answer = client.say(&bytes).answer(true);
        let words = String::from_utf8_lossy(&bytes);
        assert_eq!(answer.as_ref().map(|answer| answer.status), status, "{words}: {answer:?}");
        assert_eq!(
            status == Some(405),
            answer.is_some_and(|answer| answer.has("allow: get, head")),
            "{words}"
        );
        if words.starts_with("GET") || words.starts_with("POST") {
            client.until_closed();
        }
    }
    assert_eq!(get(address, "/live").status, 200);
}

#[test]
fn who_takes_too_long_to_ask_or_to_ask_again_is_cut_off() {
    let runtime = tempfile::tempdir().unwrap();
    let reading = Duration::from_millis(600);
    let (_primary, address) = primary(runtime.path(), Limits { reading, ..Limits::default() });
    let silent = Client::connect(address);
    let mut slow = Client::connect(address);
    slow.say("GET /live HTTP/1.1\r\nHost: x\r\n");
    let mut idle = Client::connect(address);
    assert_eq!(idle.get("/live", "").status, 200);
    let began = Instant::now();
    // Each byte that comes late is no new beginning.
    while began.elapsed() < BOUND && slow.0.peek(&mut [0]).is_err() {
        slow.say("x").0.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    }
    silent.until_closed();
    idle.until_closed();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert_eq!(get(address, "/live").status, 200);
}

#[test]
fn who_does_not_read_its_answers_is_cut_off() {
    let runtime = tempfile::tempdir().unwrap();
    let (reading, writing) = (Duration::from_millis(500), Duration::from_millis(500));
    let (_primary, address) = primary(runtime.path(), Limits { reading, writing, ..Limits::default() });
    let mut deaf = Client::connect(address);
    deaf.0.set_write_timeout(Some(BOUND)).unwrap();
    // Questions go on until both ends' buffers are full, and nothing moves any more.
    let question = b"GET /members HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let error = loop {
        if let Err(error) = deaf.0.write_all(&question) {
            break error;
        }
    };
    // Not because time was up here.
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    assert_eq!(get(address, "/live").status, 200);
}

#[test]
fn who_comes_when_all_places_are_idle_is_answered_and_who_is_being_answered_stays() {
    let runtime = tempfile::tempdir().unwrap();
    let (_primary, address) = primary(runtime.path(), Limits { connections: 8, ..Limits::default() });
    let silent: Vec<_> = (0..4).map(|_| Client::connect(address)).collect();
    let mut slow = Client::connect(address);
    slow.say("GET /live HTTP/1.1\r\nHost: x\r\n");
    // No event loop is there, so its answer takes as long as a scrape may.
    let mut asks = Client::connect(address);
    asks.say("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    for _ in 0..100 {
        assert_eq!(Client::connect(address).get("/live", "").status, 200);
    }
    let kept: Vec<_> = (0..100)
        .map(|_| {
            let mut client = Client::connect(address);
            assert_eq!(client.get("/live", "").status, 200);
            client
        })
        .collect();
    slow.until_closed();
    for client in silent {
        client.until_closed();
    }
    let open = kept.iter().filter(|client| {
        client.0.set_nonblocking(true).unwrap();
        client.0.peek(&mut [0]).is_err()
    });
    let answered = asks.answer(true).unwrap().status;
    assert_eq!(answered, 200);
    assert_eq!(open.count(), 7);
}

#[test]
fn who_comes_when_all_are_being_answered_waits_and_the_group_does_not() {
    let runtime = tempfile::tempdir().unwrap();
    let limits = Limits { connections: 2, ..Limits::default() };
    let (_primary, address) = primary(runtime.path(), limits);
    // No event loop is there, so an answer takes as long as a scrape may.
    let busy = [(); 2].map(|()| {
        let mut client = Client::connect(address);
        client.say("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
        client
    });
    let mut late = Client::connect(address);
    late.say("GET /live HTTP/1.1\r\nHost: x\r\n\r\n");
    late.0.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(late.0.peek(&mut [0]).is_err());
    member(runtime.path(), 2, &admin()).until_following(Epoch(0));
    late.0.set_read_timeout(Some(BOUND)).unwrap();
    for mut client in busy {
        assert_eq!(client.answer(true).unwrap().status, 200);
    }
    let began = Instant::now();
    assert_eq!(late.answer(true).unwrap().status, 200);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn who_has_asked_already_does_not_give_way_to_who_comes_at_the_same_time() {
    let runtime = tempfile::tempdir().unwrap();
    let (_primary, address) = primary(runtime.path(), Limits::default());
    let mut busy: Vec<_> = (0..64).map(|_| Client::connect(address)).collect();
    for client in &mut busy {
        client.say("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    let idle: Vec<_> = (0..64).map(|_| Client::connect(address)).collect();
    for mut client in busy {
        assert_eq!(client.answer(true).unwrap().status, 200);
    }
    drop(idle);
}
