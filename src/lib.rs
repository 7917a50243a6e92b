//! The native side of `@midwayjs/process-agent`: this file is the surface that JavaScript sees, and nothing else.
//!
//! Below it: [`membership`] (the life of a member), [`role`] (group, lock, epoch), [`ipc`] (how members talk),
//! [`watch`] (which of them stand still), [`metrics`] (one truth from all of them), [`admin`] (what is answered over
//! HTTP), [`inbox`] (what waits for JavaScript).

pub mod admin;
pub mod agent;
mod callback;
pub mod error;
pub mod inbox;
pub mod ipc;
pub mod log;
pub mod membership;
pub mod metrics;
pub mod notice;
mod polling;
pub mod role;
pub mod time;
pub mod watch;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{ArrayBuffer, Buffer, Either, Env, Function, Uint8Array};
use napi::{Error, Result};
use napi_derive::napi;

use crate::admin::verdict::{Policy, Rules};
use crate::ipc::ask::Ask;
use crate::ipc::client::OnFrozen;
use crate::ipc::frame::{Codec, Kind};
use crate::ipc::lane::{ReadBy, Sent};
use crate::ipc::message::Speaks;
use crate::ipc::parcel;
use crate::membership::Command;
use crate::metrics::render::{self, Quantiles};
use crate::metrics::write::Format;
use crate::polling::Polling;
use crate::role::Epoch;
use crate::watch::Limits;

/// The protocol's version: members of one group speak the same, or are one version apart.
#[napi]
pub const PROTOCOL: u32 = crate::ipc::message::PROTOCOL;

/// What a native agent is made of.
#[napi(object)]
#[expect(clippy::struct_excessive_bools, reason = "an object of JavaScript's")]
pub struct NativeAgentOptions {
    /// The group's name, as people read it.
    pub group: String,
    /// What tells the group apart; with user and namespaces it names the group's folder.
    pub group_key: String,
    /// The folder of all groups: absolute. Default: fixed per user id.
    pub runtime_dir: Option<String>,
    /// The id of the user that this process becomes when it has started, if it is root's.
    pub user: Option<u32>,
    /// How the process was started.
    pub deployment: String,
    /// The package's version.
    pub version: String,
    /// Worker thread id; 0 for a main thread.
    pub thread_id: u32,
    /// When the process started (ms since 1970).
    pub started_at: i64,
    /// Whether it may become primary.
    pub candidate: bool,
    /// Whether it goes first in the election.
    pub preferred: bool,
    /// Whether somebody else may be preferred.
    pub wait_for_preferred: bool,
    /// The largest payload of one call that it takes, in bytes.
    pub max_payload: u32,
    /// How many bytes of replies it holds for members that don't read.
    pub max_held: f64,
    /// For how long (ms) its event loop may be silent before it stops being primary, and the primary before it is taken
    /// for frozen.
    pub max_silence: u32,
    /// For how long (ms) an event loop may be silent before its process is stuck, and a process before it is frozen.
    pub max_lag: u32,
    /// For how long (ms) a member that died is remembered.
    pub forget_dead: f64,
    /// A frozen primary is killed.
    pub kill_frozen: bool,
    /// How long (ms) members may take to join a new primary before their metrics are those of the dead.
    pub metrics_grace: u32,
    /// The runtime is Node, whose libuv may be used. Others export functions of libuv's names that end the process when
    /// they are called.
    pub libuv: bool,
    /// Its event loop reads the call lanes, where it can; else a thread does.
    pub poll_lanes: bool,
    /// Its event loop may wait awake for an answer, for some microseconds, where there are processors for it.
    pub spin: bool,
    /// What it answers over HTTP while it is primary; missing: nothing.
    pub admin: Option<NativeAdmin>,
    /// Speak these versions of the protocol, not the package's own: `[oldest, newest]`. For tests of version skew.
    pub protocols: Option<Vec<u32>>,
}

/// What a primary answers over HTTP.
#[napi(object)]
pub struct NativeAdmin {
    /// An IP address of this host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The names by which it may be asked, besides `localhost` and addresses.
    pub hosts: Vec<String>,
    /// Half of all members must be abnormal for the group to fail; else one is enough.
    pub quorum: bool,
    /// With fewer members the group is not healthy.
    pub min_members: u32,
    /// How long (ms) a look at the group's health may take.
    pub look_timeout: u32,
    /// How long (ms) the members' own checks may take of that.
    pub checks_timeout: u32,
    /// How long (ms) a scrape waits for a member.
    pub scrape_timeout: u32,
    /// What the label of a member says, with every series by member: `pid`, or `slot`; missing: they are merged.
    pub member_label: Option<String>,
    /// The greatest quantiles of summaries are given.
    pub max_quantiles: bool,
    /// OpenMetrics, or text; missing: what the client wants.
    pub open_metrics: Option<bool>,
}

/// A membership in a group, on one thread of its own.
#[napi]
pub struct NativeAgent {
    agent: Arc<agent::Agent>,
    lanes: Polling,
}

#[napi]
#[expect(clippy::needless_pass_by_value, reason = "the binding hands values over")]
#[expect(clippy::must_use_candidate, reason = "called from JavaScript alone")]
impl NativeAgent {
    /// Starts to join. `wake` is called on the event loop when there is something to take, `ask` when somebody waits for
    /// this process's metrics of now (answer with `sayMetrics`), `onFrame` with what arrives on a lane that the event loop
    /// reads. None of these functions may throw. `telling` has one byte, which JavaScript can read at no cost: where the event
    /// loop reads lanes it is 1 while `onFrame` runs and what it has settled has its reactions, and else 0; it stays as it is
    /// where a thread reads them. There, too, frames of packed values that fit into `inbox` are put there, and `onFrame` gets
    /// how many bytes they are: it has to be done with them when it returns.
    ///
    /// # Errors
    /// When an option is none, or the operating system gives no thread.
    #[napi(
        constructor,
        catch_unwind,
        ts_args_type = "options: NativeAgentOptions, wake: () => void, ask: (epoch: number, scrape: number, left: number) => void, onFrame: (lane: number, kind: number, payload: string | Buffer | number) => void, telling: Uint8Array, inbox: Uint8Array"
    )]
    pub fn new(
        env: Env,
        options: NativeAgentOptions,
        wake: Function<'_, (), ()>,
        ask: Function<'_, callback::AskArgs, ()>,
        on_frame: callback::OnFrame<'_>,
        telling: Uint8Array,
        inbox: Uint8Array,
    ) -> Result<Self> {
        let lanes = Polling::new(env, &options, &on_frame, telling, inbox)?;
        let options =
            agent::Options { read_by: lanes.read_by(), ask: callback::asker(&ask)?, ..options.try_into()? };
        let agent = Arc::new(agent::Agent::start(options, lanes.turns(), callback::waker(&wake)?)?);
        // A worker thread can end without closing its agent.
        env.add_env_cleanup_hook(Arc::downgrade(&agent), |agent| {
            if let Some(agent) = agent.upgrade() {
                agent.abandon();
            }
        })?;
        Ok(Self { agent, lanes })
    }

    /// The group's folder.
    #[napi(getter, catch_unwind)]
    pub fn folder(&self) -> String {
        self.agent.folder().display().to_string()
    }

    /// Whether the event loop reads the call lanes; else a thread does.
    #[napi(getter, catch_unwind)]
    pub fn polls_lanes(&self) -> bool {
        self.lanes.read_by() != ReadBy::Thread
    }

    /// Whether the event loop may wait awake for an answer.
    #[napi(getter, catch_unwind)]
    pub fn spins(&self) -> bool {
        self.lanes.spins()
    }

    /// Bytes of calls and replies that JavaScript was told.
    #[napi(getter, catch_unwind)]
    pub fn bytes_in(&self) -> f64 {
        callback::number(self.agent.traffic().0)
    }

    /// Bytes of calls and replies that JavaScript has sent.
    #[napi(getter, catch_unwind)]
    pub fn bytes_out(&self) -> f64 {
        callback::number(self.agent.traffic().1)
    }

    /// To be called in `wake`: the event loop turns. Tells whether there is something to take.
    #[napi(catch_unwind)]
    pub fn woken(&self) -> bool {
        self.agent.woken()
    }

    /// Takes a bounded part of what waits, in order, and tells whether more is left: then take again in a later turn of
    /// the event loop, because no wake-up comes for it. Neither function may throw.
    ///
    /// # Errors
    /// When one does.
    #[napi(
        catch_unwind,
        ts_args_type = "onFrame: (lane: number, kind: number, payload: string | Buffer) => void, onNotice: (json: string, body: string | Buffer | null, left: number | null) => void"
    )]
    pub fn take(
        &self,
        on_frame: callback::OnFrame<'_>,
        on_notice: Function<'_, callback::NoticeArgs, ()>,
    ) -> Result<bool> {
        let (items, left) = self.agent.take();
        callback::deliver(items, &self.lanes, &on_frame, &on_notice)?;
        Ok(left)
    }

    /// A lane that a notice `lane-open` has told of may bring its frames.
    #[napi(catch_unwind)]
    pub fn read_lane(&self, lane: u32) {
        self.lanes.read(&self.agent, lane);
    }

    /// A lane brings nothing more for now, or goes on: more of it waits than can be run.
    #[napi(catch_unwind)]
    pub fn hold_lane(&self, lane: u32, held: bool) {
        if let Some(lane) = self.agent.lane(lane) {
            lane.hold(held);
        }
    }

    /// Bytes sent on a lane that the other end has no room for yet.
    #[napi(catch_unwind)]
    pub fn unwritten(&self, lane: u32) -> f64 {
        callback::number(self.agent.lane(lane).map_or(0, |lane| lane.unwritten()))
    }

    /// The lane has brought something that is no frame of calls or replies: it ends.
    #[napi(catch_unwind)]
    pub fn refuse_lane(&self, lane: u32, reason: String) {
        self.lanes.refuse(&self.agent, lane, reason);
    }

    /// Sends a batch as text. Returns its number on the lane, counted from 1; 0 when the lane is closed; -1 when
    /// `bounded` and the other end doesn't read what it was sent.
    ///
    /// # Errors
    /// When `kind` is none.
    #[napi(catch_unwind)]
    pub fn send_text(&self, lane: u32, kind: u32, text: String, bounded: bool) -> Result<f64> {
        self.send(lane, kind, Codec::Text, text.as_bytes(), bounded)
    }

    /// Sends a batch as bytes; returns what `sendText` does.
    ///
    /// # Errors
    /// When `kind` is none.
    #[napi(catch_unwind)]
    pub fn send_bytes(&self, lane: u32, kind: u32, bytes: Buffer, bounded: bool) -> Result<f64> {
        self.send(lane, kind, Codec::Bytes, &bytes, bounded)
    }

    /// Sends a part of `bytes` as a batch of packed values; returns what `sendText` does.
    ///
    /// # Errors
    /// When `kind` is none, or the part is not one of `bytes`.
    #[napi(catch_unwind)]
    pub fn send_packed(
        &self,
        lane: u32,
        kind: u32,
        bytes: &[u8],
        from: u32,
        to: u32,
        bounded: bool,
    ) -> Result<f64> {
        let part = bytes.get(from as usize..to as usize);
        let part = part.ok_or_else(|| Error::from_reason("a part that is beyond its buffer"))?;
        self.send(lane, kind, Codec::Bytes, part, bounded)
    }

    /// Frees memory that nobody looks at any more, rather than leave it to the garbage collector.
    #[napi(catch_unwind)]
    pub fn discard(&self, memory: ArrayBuffer<'_>) {
        // What can't be detached stays the collector's.
        let _ = memory.detach();
    }

    /// Sends a parcel to the broker, in the tenure with this epoch. `head` is JSON, as `src/ipc/parcel.rs` has it.
    ///
    /// # Errors
    /// When `head` is none, or too large.
    #[napi(catch_unwind, ts_args_type = "epoch: number, head: string, body: string | Buffer")]
    pub fn send_parcel(&self, epoch: f64, head: String, body: Either<String, Buffer>) -> Result<()> {
        if head.len() > parcel::MAX_HEAD / 2 {
            return Err(Error::from_reason("a parcel's head is too large"));
        }
        let parcel = parcel::Parcel::from_head(head.as_bytes())
            .map_err(|error| Error::from_reason(error.to_string()))?;
        self.agent.say(Epoch(callback::count(epoch)), parcel, callback::body(body));
        Ok(())
    }

    /// Says this process's metrics of now to the broker, in the tenure with this epoch: `values` in the order of `schema`,
    /// which goes along when it is another one than before. `scrape` is the one that asks, 0 if none does; `exemplars` are
    /// JSON. Returns `false` when the primary doesn't read what it was told before: then nothing was said.
    #[napi(
        catch_unwind,
        ts_args_type = "epoch: number, scrape: number, schema: string | undefined, values: Float64Array, exemplars: string | undefined"
    )]
    pub fn say_metrics(
        &self,
        epoch: f64,
        scrape: f64,
        schema: Option<String>,
        values: &[f64],
        exemplars: Option<String>,
    ) -> bool {
        let scrape = (scrape > 0.0).then(|| parcel::ScrapeId(callback::count(scrape)));
        let epoch = Epoch(callback::count(epoch));
        self.agent.say_metrics(epoch, scrape, schema, values, exemplars.as_deref())
    }

    /// This process's own start-up has finished; if it is primary, what it takes over is taken over as well.
    #[napi(catch_unwind)]
    pub fn ready(&self) {
        // However long its start has kept the event loop: it speaks.
        self.agent.turned();
        self.agent.tell(Command::Ready);
    }

    /// What the primary before this epoch has left is taken over; until then it is passed on as it was.
    #[napi(catch_unwind)]
    pub fn took_over(&self, epoch: f64) {
        self.agent.tell(Command::TookOver(Epoch(callback::count(epoch))));
    }

    /// A debugger may hold the event loop: then its silence means nothing.
    #[napi(catch_unwind)]
    pub fn set_inspected(&self, inspected: bool) {
        self.agent.set_inspected(inspected);
    }

    /// Asks who is in the group; a notice `members` with the same number answers.
    #[napi(catch_unwind)]
    pub fn list_members(&self, request: u32) {
        self.agent.tell(Command::ListMembers(request));
    }

    /// Asks how the members of the group do; a notice `health` with the same number answers.
    #[napi(catch_unwind)]
    pub fn ask_health(&self, request: u32) {
        self.agent.tell(Command::AskHealth(request));
    }

    /// Says the last word on every lane, when a notice `finishing` asks for it: what was taken until now was accepted,
    /// and nothing later is.
    #[napi(catch_unwind)]
    pub fn finish_lanes(&self) {
        self.agent.finish_lanes();
    }

    /// Hands over, if primary, and is no candidate any more. `state` is for the next primary; gathers that are open may
    /// still be answered for `graceMs`.
    #[napi(catch_unwind, ts_args_type = "graceMs: number, state?: string | Buffer | undefined")]
    pub fn hand_over(&self, grace_ms: u32, state: Option<Either<String, Buffer>>) {
        let grace = Duration::from_millis(u64::from(grace_ms));
        self.agent.tell(Command::HandOver { state: state.map(callback::body), grace });
    }

    /// Leaves the group; a notice `closed` follows.
    #[napi(catch_unwind)]
    pub fn leave(&self) {
        self.agent.tell(Command::Leave);
    }

    /// Leaves the group at once and waits until that is done: for a process that is about to exit.
    #[napi(catch_unwind)]
    pub fn end(&self) {
        self.agent.end();
    }

    fn send(&self, lane: u32, kind: u32, codec: Codec, payload: &[u8], bounded: bool) -> Result<f64> {
        let kind = u8::try_from(kind).ok().and_then(|kind| Kind::try_from(kind).ok());
        let kind = kind.filter(|kind| kind.is_of_calls());
        let kind = kind.ok_or_else(|| Error::from_reason("only calls and replies are sent"))?;
        // Before: the answer may come at once.
        self.lanes.sends(lane);
        Ok(match self.agent.send(lane, kind, codec, payload, bounded) {
            Sent::Frame(number) => callback::number(number),
            Sent::Closed => 0.0,
            Sent::Full => -1.0,
        })
    }
}

impl TryFrom<NativeAgentOptions> for agent::Options {
    type Error = Error;

    fn try_from(options: NativeAgentOptions) -> Result<Self> {
        let admin = options.admin.map(|admin| admin.of(&options.group)).transpose()?;
        let speaks = match options.protocols.as_deref() {
            Some(&[oldest, protocol]) => Speaks { protocol, oldest },
            _ => Speaks::default(),
        };
        Ok(Self {
            group: options.group,
            group_key: options.group_key,
            runtime_dir: options.runtime_dir.map(PathBuf::from),
            user: options.user,
            deployment: options.deployment,
            version: options.version,
            thread_id: options.thread_id,
            started_at: u64::try_from(options.started_at).unwrap_or(0),
            candidate: options.candidate,
            preferred: options.preferred,
            wait_for_preferred: options.wait_for_preferred,
            max_payload: options.max_payload as usize,
            max_held: usize::try_from(callback::count(options.max_held)).unwrap_or(usize::MAX),
            limits: Limits {
                max_silence: Duration::from_millis(u64::from(options.max_silence)),
                max_lag: Duration::from_millis(u64::from(options.max_lag)),
            },
            forget_dead: Duration::from_millis(callback::count(options.forget_dead)),
            on_frozen: if options.kill_frozen { OnFrozen::Kill } else { OnFrozen::Wait },
            metrics_grace: Duration::from_millis(u64::from(options.metrics_grace)),
            admin,
            ask: Ask::default(),
            speaks,
            read_by: ReadBy::Thread,
        })
    }
}

impl NativeAdmin {
    fn of(self, group: &str) -> Result<admin::Admin> {
        let host: IpAddr =
            self.host.parse().map_err(|_| Error::from_reason(format!("{} is no IP address", self.host)))?;
        let millis = |ms: u32| Duration::from_millis(u64::from(ms));
        let policy = if self.quorum { Policy::Quorum } else { Policy::All };
        let quantiles = if self.max_quantiles { Quantiles::Max } else { Quantiles::Drop };
        Ok(admin::Admin {
            address: SocketAddr::new(host, self.port),
            hosts: self.hosts.iter().map(|name| name.to_ascii_lowercase()).collect(),
            group: group.to_owned(),
            health: admin::Health {
                rules: Rules { policy, min_members: self.min_members as usize },
                whole: millis(self.look_timeout),
                checks: millis(self.checks_timeout),
            },
            limits: admin::Limits::default(),
            metrics: admin::Metrics {
                timeout: millis(self.scrape_timeout),
                options: render::Options {
                    members_apart: self.member_label.is_some(),
                    slots: self.member_label.as_deref() == Some("slot"),
                    quantiles,
                },
                format: self.open_metrics.map(|open| if open { Format::OpenMetrics } else { Format::Text }),
            },
        })
    }
}
