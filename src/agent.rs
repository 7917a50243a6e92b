//! The object that JavaScript owns: starts the one thread, passes commands to it, and ends it.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::admin::Admin;
use crate::inbox::{Inbox, Item, Notice};
use crate::ipc::ask::{Ask, Shortcuts};
use crate::ipc::client::{Manners, OnFrozen};
use crate::ipc::deaths::Legacy;
use crate::ipc::flow::budget::ReceiveBudget;
use crate::ipc::flow::sending::Class;
use crate::ipc::frame::{Codec, Kind};
use crate::ipc::lane::{Budget, Lane, LaneContext, Lanes, ReadBy, Sent, Traffic};
use crate::ipc::message::{MemberInfo, MemberState, Speaks};
use crate::ipc::parcel::{Body, Parcel, ScrapeId};
use crate::ipc::voice::Voices;
use crate::log;
use crate::membership::{Command, Membership};
use crate::metrics::snapshot;
use crate::role::group::{default_runtime_dir, GroupKey};
use crate::role::user::User;
use crate::role::{Epoch, MemberId};
use crate::time::now_ms;
use crate::watch::event_loop::Turns;
use crate::watch::Limits;

/// What an agent is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// The group's name, as people read it.
    pub group: String,
    /// What tells the group apart.
    pub group_key: String,
    /// The folder of all groups, if it isn't the default one.
    pub runtime_dir: Option<PathBuf>,
    /// The id of the user that this process becomes when it has started, if it is root's.
    pub user: Option<u32>,
    /// How the process was started, in JavaScript's words.
    pub deployment: String,
    /// The package's version.
    pub version: String,
    /// Worker thread id; 0 for a main thread.
    pub thread_id: u32,
    /// When the process started, in ms since 1970.
    pub started_at: u64,
    /// Whether it may become primary.
    pub candidate: bool,
    /// Whether it goes first in the election.
    pub preferred: bool,
    /// Whether somebody else may be preferred.
    pub wait_for_preferred: bool,
    /// The largest payload that it takes, in bytes.
    pub max_payload: usize,
    /// How many bytes of replies it holds for members that don't read.
    pub max_held: usize,
    /// For how long a primary may be silent, and an event loop.
    pub limits: Limits,
    /// For how long a member that died is remembered.
    pub forget_dead: Duration,
    /// What is done about a primary that is.
    pub on_frozen: OnFrozen,
    /// How long members may take to join a new primary before their metrics are those of the dead.
    pub metrics_grace: Duration,
    /// What it answers over HTTP while it is primary, if anything.
    pub admin: Option<Admin>,
    /// How its JavaScript is asked for its metrics.
    pub ask: Ask,
    /// The protocol's versions that it speaks.
    pub speaks: Speaks,
    /// Who reads its call lanes.
    pub read_by: ReadBy,
}

/// An agent: one membership, on one thread of its own. Dropping it ends it, without a goodbye.
#[derive(Debug)]
pub struct Agent {
    folder: PathBuf,
    inbox: Arc<Inbox>,
    lanes: Arc<Lanes>,
    voices: Voices,
    /// Of the last snapshot.
    sequence: AtomicU64,
    traffic: Arc<Traffic>,
    commands: mpsc::UnboundedSender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Agent {
    /// Starts to join the group. `wake` is called, from the agent's thread, when there is something to take; so is
    /// the clock of `turns`, until the agent has ended.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(
        options: Options,
        turns: Option<Arc<Turns>>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let user = User::of_groups(options.user);
        let runtime_dir = options.runtime_dir.unwrap_or_else(|| default_runtime_dir(user));
        let folder = GroupKey::of_user(user, &options.group, &options.group_key).folder(&runtime_dir);
        let inbox = Arc::new(Inbox::new(wake));
        if let Some(turns) = turns {
            inbox.event_loop().set_turns(turns);
        }
        let lanes = Arc::new(Lanes::default());
        let voices = Voices::default();
        let traffic = Arc::new(Traffic::default());
        let (commands, received) = mpsc::unbounded_channel();
        let membership = Membership {
            runtime_dir,
            folder: folder.clone(),
            me: MemberInfo {
                id: MemberId(0),
                pid: std::process::id(),
                thread_id: options.thread_id,
                role: "worker".into(),
                deployment: options.deployment,
                state: MemberState::Starting,
                joined_at: 0,
                started_at: options.started_at,
                version: options.version,
                candidate: options.candidate,
                lag_ms: 0,
            },
            preferred: options.preferred,
            wait_for_preferred: options.wait_for_preferred,
            manners: Manners {
                user,
                speaks: options.speaks,
                limits: options.limits,
                on_frozen: options.on_frozen,
                forget_dead: options.forget_dead,
            },
            legacy: Legacy::default(),
            trouble: String::new(),
            metrics_grace: options.metrics_grace,
            admin: options.admin.map(Arc::new),
            shortcuts: Shortcuts { ask: options.ask, voices: voices.clone() },
            context: LaneContext {
                inbox: Arc::clone(&inbox),
                lanes: Arc::clone(&lanes),
                max_payload: options.max_payload,
                budget: Arc::new(Budget::new(options.max_held)),
                traffic: Arc::clone(&traffic),
                read_by: options.read_by,
                receive: ReceiveBudget::new(options.max_held),
            },
        };
        let thread =
            std::thread::Builder::new().name("process-agent".into()).stack_size(512 * 1024).spawn({
                let inbox = Arc::clone(&inbox);
                move || run(membership, received, &inbox)
            })?;
        Ok(Self {
            folder,
            inbox,
            lanes,
            voices,
            sequence: AtomicU64::new(0),
            traffic,
            commands,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// The group's folder.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Passes a command on; one that comes after the end has no effect.
    pub fn tell(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// JavaScript has called, and so its event loop turns.
    pub fn turned(&self) {
        self.inbox.event_loop().turned();
    }

    /// The event loop was woken: tells whether there is something to take.
    #[must_use]
    pub fn woken(&self) -> bool {
        self.inbox.woken()
    }

    /// Takes a bounded part of what waits for JavaScript, and tells whether more is left.
    #[must_use]
    pub fn take(&self) -> (Vec<Item>, bool) {
        self.inbox.take()
    }

    /// Sends a batch on a lane. `bounded` tells whether it is refused when the other end doesn't read.
    #[must_use]
    pub fn send(&self, lane: u32, kind: Kind, codec: Codec, payload: &[u8], bounded: bool) -> Sent {
        self.lanes.get(lane).map_or(Sent::Closed, |lane| lane.send(kind, codec, payload, bounded))
    }

    /// Bytes of calls and replies that came in, and that went out.
    #[must_use]
    pub fn traffic(&self) -> (u64, u64) {
        self.traffic.bytes()
    }

    /// The lane of that number, while it is open.
    #[must_use]
    pub fn lane(&self, lane: u32) -> Option<Arc<Lane>> {
        self.lanes.get(lane)
    }

    /// Says this process's metrics of now, in the tenure with this epoch: `values` in the order of the schema, which goes
    /// along when it is another one than before, and exemplars as JSON. `false` when the primary doesn't read: then
    /// nothing was said.
    #[must_use]
    pub fn say_metrics(
        &self,
        epoch: Epoch,
        scrape: Option<ScrapeId>,
        schema: Option<String>,
        values: &[f64],
        exemplars: Option<&str>,
    ) -> bool {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let snapshot =
            snapshot::wire(0, sequence, now_ms(), values, exemplars.unwrap_or_default().as_bytes());
        let schema = schema.map(|schema| {
            (Parcel::Schema {}, Body { codec: Codec::Text, bytes: schema.into_bytes().into() })
        });
        let snapshot = (Parcel::Snapshot { scrape }, Body { codec: Codec::Bytes, bytes: snapshot.into() });
        let said: Vec<_> = schema.into_iter().chain([snapshot]).collect();
        let frames: Vec<_> =
            said.iter().filter_map(|(parcel, body)| parcel.to_bytes(epoch, body).ok()).collect();
        match self.voices.of(epoch) {
            Some(voice) if voice.takes(frames.iter().map(Bytes::len)) => voice.say(&frames.concat()),
            Some(voice) if !voice.is_heard() => false,
            _ => {
                for (parcel, body) in said {
                    self.leave_to_thread(epoch, parcel, body);
                }
                true
            }
        }
    }

    /// Sends a parcel to the broker, in the tenure with this epoch.
    pub fn say(&self, epoch: Epoch, parcel: Parcel, body: Body) {
        // The snapshot right behind it takes the same way.
        let shortcut = if matches!(parcel, Parcel::Scrape { .. }) { self.voices.of(epoch) } else { None };
        if let (Some(voice), Ok(frame)) = (shortcut, parcel.to_bytes(epoch, &body)) {
            if voice.takes([frame.len()].into_iter()) && voice.say(&frame) {
                return;
            }
        }
        self.leave_to_thread(epoch, parcel, body);
    }

    fn leave_to_thread(&self, epoch: Epoch, parcel: Parcel, body: Body) {
        if parcel.class() == Class::Metrics {
            if let Some(voice) = self.voices.of(epoch) {
                voice.leave(1);
            }
        }
        self.tell(Command::Parcel(epoch, Box::new((parcel, body))));
    }

    /// Notes whether a debugger may hold the event loop.
    pub fn set_inspected(&self, inspected: bool) {
        self.inbox.event_loop().set_inspected(inspected);
    }

    /// Says the last word on every lane: what was taken until now was accepted, and nothing later is.
    pub fn finish_lanes(&self) {
        self.lanes.finish();
        self.tell(Command::LanesFinished);
    }

    /// Leaves the group and waits for the thread to end, which takes milliseconds.
    pub fn end(&self) {
        self.tell(Command::Leave);
        self.join();
    }

    /// Ends without a goodbye, as a process that fails does: the others take this member for dead.
    pub fn abandon(&self) {
        self.tell(Command::Abandon);
        self.join();
    }

    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic in it was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// The agent's thread.
fn run(membership: Membership, commands: mpsc::UnboundedReceiver<Command>, inbox: &Arc<Inbox>) {
    let _log = tracing::subscriber::set_default(log::subscriber(Arc::clone(inbox)));
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        runtime.block_on(membership.live(commands));
        Ok::<_, std::io::Error>(())
    }));
    let message = match lived {
        Ok(Ok(())) => return,
        Ok(Err(error)) => format!("the agent can't start: {error}"),
        Err(_) => "the agent's thread has failed, which is a mistake in @midwayjs/process-agent".to_owned(),
    };
    inbox.tell(Notice::Failed { code: "ERR_AGENT_INTERNAL", message });
    inbox.tell(Notice::Closed);
}
