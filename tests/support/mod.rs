//! Agents on threads of one process, and what they told.

#![allow(dead_code, reason = "each test file uses a part of it")]

#[cfg(unix)]
pub mod by_hand;
pub mod http;

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use process_agent::agent::{Agent, Options};
use process_agent::inbox::{Item, Notice};
use process_agent::ipc::ask::Ask;
use process_agent::ipc::client::OnFrozen;
use process_agent::ipc::frame::{Codec, Kind};
use process_agent::ipc::lane::{ReadBy, Sent};
use process_agent::ipc::message::Speaks;
use process_agent::role::Epoch;
use process_agent::watch::Limits;

/// How long anything may take before a test fails.
pub const BOUND: Duration = Duration::from_secs(20);

/// How long agents bear a silence, if a test says nothing else.
pub const LIMITS: Limits = Limits { max_silence: Duration::from_secs(30), max_lag: Duration::from_secs(1) };

/// An agent, and everything that it has told, with the time at which it was taken.
pub struct Member {
    pub agent: Agent,
    woken: mpsc::Receiver<()>,
    pub told: Vec<(Instant, Item)>,
}

pub fn options(runtime_dir: &Path) -> Options {
    Options {
        group: "test".into(),
        group_key: "configured:test".into(),
        runtime_dir: Some(PathBuf::from(runtime_dir)),
        user: None,
        deployment: "configured".into(),
        version: "0.0.0".into(),
        thread_id: 0,
        started_at: 0,
        candidate: true,
        preferred: false,
        wait_for_preferred: false,
        max_payload: 1024 * 1024,
        max_held: 4 * 1024 * 1024,
        limits: LIMITS,
        forget_dead: Duration::from_secs(60),
        metrics_grace: Duration::from_secs(1),
        admin: None,
        ask: Ask::default(),
        on_frozen: OnFrozen::Wait,
        speaks: Speaks::default(),
        read_by: ReadBy::Thread,
    }
}

/// A primary with its epoch, and a worker with its lane.
pub fn pair(options: impl Fn() -> Options) -> (Member, Epoch, Member, u32) {
    let mut primary = Member::start(options());
    let epoch = primary.until_elected(Epoch(0));
    let mut worker = Member::start(options());
    let lane = worker.lane(0);
    (primary, epoch, worker, lane)
}

impl Member {
    pub fn start(options: Options) -> Self {
        let (wake, woken) = mpsc::channel();
        let agent = Agent::start(options, None, move || {
            let _ = wake.send(());
        });
        Self { agent: agent.expect("a thread"), woken, told: Vec::new() }
    }

    pub fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.told.iter().filter_map(|(_, item)| match item {
            Item::Notice(notice) => Some(notice),
            Item::Frame(..) | Item::Room(_) | Item::Letter(_) => None,
        })
    }

    fn take_all(&mut self) {
        loop {
            let (items, left) = self.agent.take();
            let now = Instant::now();
            self.told.extend(items.into_iter().filter(Item::accept).map(|item| (now, copied(item))));
            if !left {
                break;
            }
        }
    }

    /// Takes what is there, without waiting.
    pub fn take(&mut self) {
        while self.woken.try_recv().is_ok() {
            self.take_all();
        }
    }

    /// Waits until something told makes `pick` give a value. Looks at everything from the beginning.
    pub fn until<T>(&mut self, what: &str, pick: impl Fn(&Item) -> Option<T>) -> T {
        let deadline = Instant::now() + BOUND;
        loop {
            if let Some(found) = self.told.iter().find_map(|(_, item)| pick(item)) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(self.woken.recv_timeout(left).is_ok(), "waited for {what}; told: {:#?}", self.told);
            self.take_all();
        }
    }

    pub fn until_notice<T>(&mut self, what: &str, pick: impl Fn(&Notice) -> Option<T>) -> T {
        self.until(what, |item| match item {
            Item::Notice(notice) => pick(notice),
            Item::Frame(..) | Item::Room(_) | Item::Letter(_) => None,
        })
    }

    /// Waits until it is primary in an epoch after `after`.
    pub fn until_elected(&mut self, after: Epoch) -> Epoch {
        self.until_notice("the election", |notice| match notice {
            Notice::Elected { epoch, .. } if *epoch > after => Some(*epoch),
            _ => None,
        })
    }

    /// Waits until it follows a primary in an epoch after `after`.
    pub fn until_following(&mut self, after: Epoch) -> Epoch {
        self.until_notice("a primary", |notice| match notice {
            Notice::Following { epoch, .. } if *epoch > after => Some(*epoch),
            _ => None,
        })
    }

    /// Waits until it has a role in an epoch after `after`; `true` is primary.
    pub fn until_role(&mut self, after: Epoch) -> (bool, Epoch) {
        self.until_notice("a role", |notice| match notice {
            Notice::Elected { epoch, .. } if *epoch > after => Some((true, *epoch)),
            Notice::Following { epoch, .. } if *epoch > after => Some((false, *epoch)),
            _ => None,
        })
    }

    /// Sends a small frame of calls.
    pub fn send(&self, lane: u32) {
        let sent = self.agent.send(lane, Kind::Calls, Codec::Text, b"[]", false);
        assert!(matches!(sent, Sent::Frame(_)), "lane {lane}: {sent:?}");
    }

    pub fn lane(&mut self, nth: usize) -> u32 {
        let deadline = Instant::now() + BOUND;
        loop {
            let open = self.notices().filter_map(|notice| match notice {
                Notice::LaneOpen { lane, .. } => Some(lane.0),
                _ => None,
            });
            if let Some(lane) = open.collect::<Vec<_>>().get(nth) {
                return *lane;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(self.woken.recv_timeout(left).is_ok(), "waited for lane {nth}; told: {:#?}", self.told);
            self.take_all();
        }
    }
}

/// What JavaScript keeps is a copy: the memory in which it came is free.
fn copied(item: Item) -> Item {
    match item {
        Item::Frame(lane, mut frame) => {
            frame.payload = Bytes::copy_from_slice(&frame.payload);
            Item::Frame(lane, frame)
        }
        Item::Letter(mut letter) => {
            letter.body.bytes = Bytes::copy_from_slice(&letter.body.bytes);
            Item::Letter(letter)
        }
        other => other,
    }
}
