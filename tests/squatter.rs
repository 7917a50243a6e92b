//! Another user's process that has taken the group's guard name. Needs root, to become that other user.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use process_agent::inbox::Notice;
use process_agent::role::group::{digest_of, GroupKey};
use process_agent::role::Epoch;

use support::{options, Member};

const NAME: &str = "SQUATTED_NAME";

/// Not a test by itself: what this binary does when the test below starts it again as another user.
#[test]
fn squats_when_told_to() {
    let Ok(name) = std::env::var(NAME) else { return };
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap();
    println!("bound");
    std::io::stdout().flush().unwrap();
    // Until the test closes our input.
    let _ = std::io::stdin().lines().next();
}

#[test]
fn a_guard_name_that_another_user_has_taken_stops_nobody() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can start another user's process");
        return;
    }
    let runtime = tempfile::tempdir().unwrap();
    let folder = GroupKey::new("test", "configured:test").folder(runtime.path());
    let mut squatter = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "squats_when_told_to", "--nocapture"])
        .env(NAME, format!("midway-process-agent/{}", digest_of(&folder)))
        .uid(65534)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(squatter.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("bound")));

    let mut primary = Member::start(options(runtime.path()));
    let epoch = primary.until_elected(Epoch(0));
    assert_eq!(primary.agent.folder(), folder);
    primary.until_notice("the warning", |notice| match notice {
        Notice::Log { level: "warn", message } if message.contains("65534") => Some(()),
        _ => None,
    });
    let mut worker = Member::start(options(runtime.path()));
    assert_eq!(worker.until_following(Epoch(0)), epoch);

    drop(squatter.stdin.take());
    squatter.wait().unwrap();
}
