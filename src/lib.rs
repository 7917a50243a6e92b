//! The native side of `@midwayjs/process-agent`: this file is the surface that JavaScript sees, and nothing else.
//!
//! Below it: [`membership`] (the life of a member), [`role`] (group, lock, epoch), [`ipc`] (how members talk),
//! [`inbox`] (what waits for JavaScript).

pub mod agent;
mod callback;
pub mod error;
pub mod inbox;
pub mod ipc;
pub mod log;
pub mod membership;
pub mod role;
pub mod time;

use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::{Buffer, Env, Function};
use napi::{Error, Result};
use napi_derive::napi;

use crate::ipc::frame::{Codec, Kind};
use crate::membership::Command;

/// The protocol's version: members of one group speak the same.
#[napi]
pub const PROTOCOL: u32 = crate::ipc::message::PROTOCOL;

/// What a native agent is made of.
#[napi(object)]
pub struct NativeAgentOptions {
    /// The group's name, as people read it.
    pub group: String,
    /// What tells the group apart; with user and namespaces it names the group's folder.
    pub group_key: String,
    /// The folder of all groups: absolute. Default: fixed per user id.
    pub runtime_dir: Option<String>,
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
}

/// A membership in a group, on one thread of its own.
#[napi]
pub struct NativeAgent {
    agent: Arc<agent::Agent>,
}

#[napi]
#[expect(clippy::needless_pass_by_value, reason = "the binding hands values over")]
#[expect(clippy::must_use_candidate, reason = "called from JavaScript alone")]
impl NativeAgent {
    /// Starts to join. `wake` is called on the event loop when there is something to take.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    #[napi(constructor, catch_unwind)]
    pub fn new(env: Env, options: NativeAgentOptions, wake: Function<'_, (), ()>) -> Result<Self> {
        let agent = Arc::new(agent::Agent::start(options.into(), callback::waker(&wake)?)?);
        // A worker thread can end without closing its agent.
        env.add_env_cleanup_hook(Arc::downgrade(&agent), |agent| {
            if let Some(agent) = agent.upgrade() {
                agent.end();
            }
        })?;
        Ok(Self { agent })
    }

    /// The group's folder.
    #[napi(getter, catch_unwind)]
    pub fn folder(&self) -> String {
        self.agent.folder().display().to_string()
    }

    /// Takes a bounded part of what waits, in order, and tells whether more is left: then take again in a later turn of
    /// the event loop, because no wake-up comes for it. Neither function may throw.
    ///
    /// # Errors
    /// When one does.
    #[napi(
        catch_unwind,
        ts_args_type = "onFrame: (lane: number, kind: number, epoch: number, payload: string | Buffer) => void, onNotice: (json: string) => void"
    )]
    pub fn take(
        &self,
        on_frame: Function<'_, callback::FrameArgs, ()>,
        on_notice: Function<'_, String, ()>,
    ) -> Result<bool> {
        let (items, left) = self.agent.take();
        callback::deliver(items, &on_frame, &on_notice)?;
        Ok(left)
    }

    /// Sends a batch as text; returns its number on the lane, counted from 1, or 0 when the lane is closed.
    ///
    /// # Errors
    /// When `kind` is none.
    #[napi(catch_unwind)]
    pub fn send_text(&self, lane: u32, kind: u32, text: String) -> Result<f64> {
        self.send(lane, kind, Codec::Text, text.as_bytes())
    }

    /// Sends a batch as bytes; returns its number on the lane, counted from 1, or 0 when the lane is closed.
    ///
    /// # Errors
    /// When `kind` is none.
    #[napi(catch_unwind)]
    pub fn send_bytes(&self, lane: u32, kind: u32, bytes: Buffer) -> Result<f64> {
        self.send(lane, kind, Codec::Bytes, &bytes)
    }

    /// This process's own start-up has finished.
    #[napi(catch_unwind)]
    pub fn ready(&self) {
        self.agent.tell(Command::Ready);
    }

    /// Asks who is in the group; a notice `members` with the same number answers.
    #[napi(catch_unwind)]
    pub fn list_members(&self, request: u32) {
        self.agent.tell(Command::ListMembers(request));
    }

    /// Says the last word on every lane: what was taken until now was accepted, and nothing later is.
    #[napi(catch_unwind)]
    pub fn finish_lanes(&self) {
        self.agent.finish_lanes();
    }

    /// Hands over, if primary, and is no candidate any more.
    #[napi(catch_unwind)]
    pub fn hand_over(&self) {
        self.agent.tell(Command::HandOver);
    }

    /// Leaves the group; a notice `closed` follows.
    #[napi(catch_unwind)]
    pub fn leave(&self) {
        self.agent.tell(Command::Leave);
    }

    fn send(&self, lane: u32, kind: u32, codec: Codec, payload: &[u8]) -> Result<f64> {
        let kind = u8::try_from(kind).ok().and_then(|kind| Kind::try_from(kind).ok());
        let kind = kind.filter(|kind| matches!(kind, Kind::Calls | Kind::Replies));
        let kind = kind.ok_or_else(|| Error::from_reason("only calls and replies are sent"))?;
        Ok(callback::number(self.agent.send(lane, kind, codec, payload).unwrap_or(0)))
    }
}

impl From<NativeAgentOptions> for agent::Options {
    fn from(options: NativeAgentOptions) -> Self {
        Self {
            group: options.group,
            group_key: options.group_key,
            runtime_dir: options.runtime_dir.map(PathBuf::from),
            deployment: options.deployment,
            version: options.version,
            thread_id: options.thread_id,
            started_at: u64::try_from(options.started_at).unwrap_or(0),
            candidate: options.candidate,
            preferred: options.preferred,
            wait_for_preferred: options.wait_for_preferred,
            max_payload: options.max_payload as usize,
        }
    }
}
