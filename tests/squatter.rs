//! Another user's process that has taken the group's guard name. Needs root, to become that other user.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader, Lines, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use process_agent::inbox::Notice;
use process_agent::role::group::{digest_of, GroupKey};
use process_agent::role::Epoch;
use rustix::net::{socket_with, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use support::{options, Member};

const NAME: &str = "SQUATTED_NAME";
const HOW: &str = "SQUATTED_HOW";

/// How another user's process holds the name.
const WAYS: [&str; 4] = ["listening", "bound", "full", "coming and going"];

fn socket() -> OwnedFd {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)
        .unwrap()
}

fn address(name: &str) -> SocketAddrUnix {
    SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap()
}

/// Not a test by itself: what this binary does when the tests below start it again as another user.
#[test]
fn squats_when_told_to() {
    let (Ok(name), Ok(how)) = (std::env::var(NAME), std::env::var(HOW)) else { return };
    let address = address(&name);
    let bound = socket();
    let said = || {
        println!("bound");
        std::io::stdout().flush().unwrap();
    };
    // Until the test closes our input.
    let until_told = || drop(std::io::stdin().lines().next());
    if how == "knocking" {
        said();
        let count = Arc::new(AtomicUsize::new(0));
        let knocks = Arc::clone(&count);
        std::thread::spawn(move || loop {
            if rustix::net::connect(socket(), &address).is_ok() {
                knocks.fetch_add(1, Ordering::Relaxed);
            }
        });
        until_told();
        return println!("knocked {}", count.load(Ordering::Relaxed));
    }
    rustix::net::bind(&bound, &address).unwrap();
    said();
    match how.as_str() {
        "listening" => rustix::net::listen(&bound, 128).unwrap(),
        "full" => {
            rustix::net::listen(&bound, 0).unwrap();
            let full: Vec<_> = std::iter::repeat_with(|| (socket(), &address))
                .take_while(|(socket, address)| rustix::net::connect(socket, *address).is_ok())
                .collect();
            until_told();
            return drop(full);
        }
        "coming and going" => {
            std::thread::spawn(move || {
                let mut bound = bound;
                loop {
                    drop(bound);
                    bound = socket();
                    let _ = rustix::net::bind(&bound, &address);
                    std::thread::sleep(Duration::from_micros(200));
                }
            });
            return until_told();
        }
        _ => {}
    }
    until_told();
}

/// Another user's process that has taken, or knocks at, the guard name of the group in `folder`.
struct Squatter(Child, Lines<BufReader<ChildStdout>>);

impl Squatter {
    fn start(folder: &Path, how: &str) -> Self {
        let mut squatter = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "squats_when_told_to", "--nocapture"])
            .env(NAME, format!("midway-process-agent/{}", digest_of(folder)))
            .env(HOW, how)
            .uid(65534)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(squatter.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("bound")));
        Self(squatter, said)
    }
}

impl Squatter {
    /// Ends it; what it has said last.
    fn end(&mut self) -> Vec<String> {
        drop(self.0.stdin.take());
        let said = self.1.by_ref().map(Result::unwrap).collect();
        let _ = self.0.wait();
        said
    }
}

impl Drop for Squatter {
    fn drop(&mut self) {
        self.end();
    }
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: only root can start another user's process");
    }
    is_root
}

#[test]
fn a_guard_name_that_another_user_has_taken_stops_nobody() {
    if !is_root() {
        return;
    }
    let runtime = tempfile::tempdir().unwrap();
    let folder = GroupKey::new("test", "configured:test").folder(runtime.path());
    let _squatter = Squatter::start(&folder, "listening");

    let mut primary = Member::start(options(runtime.path()));
    let epoch = primary.until_elected(Epoch(0));
    assert_eq!(primary.agent.folder(), folder);
    primary.until_notice("the warning", |notice| match notice {
        Notice::Log { level: "warn", message } if message.contains("65534") => Some(()),
        _ => None,
    });
    let mut worker = Member::start(options(runtime.path()));
    assert_eq!(worker.until_following(Epoch(0)), epoch);
}

#[test]
fn however_another_user_holds_the_guard_name_no_election_waits_for_it() {
    if !is_root() {
        return;
    }
    for how in WAYS {
        // The quickest of several: waiting for the name's holder would make every one of them take two seconds.
        let quickest = (0..3).map(|_| {
            let runtime = tempfile::tempdir().unwrap();
            let folder = GroupKey::new("test", "configured:test").folder(runtime.path());
            let _squatter = Squatter::start(&folder, how);
            let began = Instant::now();
            Member::start(options(runtime.path())).until_elected(Epoch(0));
            began.elapsed()
        });
        let quickest = quickest.min().unwrap();
        println!("{how}: {quickest:?}");
        assert!(quickest < Duration::from_millis(150), "{how}: {quickest:?}");
    }
}

#[test]
fn knocks_of_another_user_without_end_are_taken_at_a_bounded_rate() {
    if !is_root() {
        return;
    }
    let runtime = tempfile::tempdir().unwrap();
    let mut primary = Member::start(options(runtime.path()));
    let epoch = primary.until_elected(Epoch(0));
    let began = Instant::now();
    let mut knocking = Squatter::start(primary.agent.folder(), "knocking");
    std::thread::sleep(Duration::from_secs(1));
    let said = knocking.end();
    let count = said.iter().find_map(|line| line.strip_prefix("knocked ")).unwrap();
    // 32 of them in 25 ms, and those that wait at the end. Each takes some microseconds.
    let most = began.elapsed().as_millis() / 25 * 33 + 100;
    assert!(count.parse::<u128>().unwrap() <= most, "{count} in {:?}", began.elapsed());

    // Amid knocks the primary of a folder that is gone steps down for a process of its own user.
    let _knocking = Squatter::start(primary.agent.folder(), "knocking");
    std::fs::remove_dir_all(primary.agent.folder()).unwrap();
    let mut second = Member::start(options(runtime.path()));
    assert!(second.until_role(epoch).1 > epoch);
}
