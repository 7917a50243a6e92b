//! Call lanes on the event loop: each socket is polled there, and what arrives goes to JavaScript at once, without
//! another thread.
//!
//! # Platform-specific behaviour
//! Windows, and runtimes that have a Node-API but not Node's libuv: there is no [`Poller`], and a thread reads the lanes.

#[cfg(not(unix))]
mod none;
#[cfg(unix)]
mod poller;
#[cfg(unix)]
pub mod spin;
#[cfg(unix)]
mod uv;

use std::rc::Rc;
use std::sync::Arc;

use napi::bindgen_prelude::{Env, Uint8Array};
use napi::Result;

#[cfg(not(unix))]
use self::none::Poller;
#[cfg(unix)]
use self::poller::Poller;
use crate::agent::Agent;
use crate::callback::{OnFrame, PolledLanes};
use crate::error::AgentError;
use crate::ipc::lane::{Lane, LaneId, ReadBy};
use crate::ipc::message::Final;
use crate::watch::event_loop::Turns;
use crate::NativeAgentOptions;

/// The lanes of one agent that its event loop reads, if it can. Belongs to the thread of that loop.
#[derive(Default)]
pub struct Polling {
    poller: Option<Rc<Poller>>,
    turns: Option<Arc<Turns>>,
}

/// Reads lanes on an event loop: what each platform has a `Poller` for.
trait Poll {
    /// What the event loop of `env` can do: read lanes, note its turns, both, or neither. Frames go to `on_frame`, packed
    /// ones through `inbox`; `telling` is 1 meanwhile.
    ///
    /// # Errors
    /// When Node has no resources left.
    fn start(
        env: Env,
        options: &NativeAgentOptions,
        on_frame: &OnFrame<'_>,
        telling: Uint8Array,
        inbox: Uint8Array,
    ) -> Result<Polling>;
    /// That the event loop reads.
    fn read_by(&self) -> ReadBy;
    /// Whether the loop may wait awake.
    fn spins(&self) -> bool;
    /// Reads a lane from now on.
    fn read(self: &Rc<Self>, lane: Arc<Lane>);
    /// There is room again for what the lane brings.
    fn resume(&self, lane: u32);
    /// JavaScript has found that the lane brings no frames of calls.
    fn refuse(&self, lane: u32, reason: String);
    /// Something is about to be sent on the lane: an answer may come soon.
    fn sends(&self, lane: u32);
    /// The lane has ended: gives JavaScript what is left in its socket, and tells the other end's last word.
    fn finish(&self, lane: u32) -> Option<Final>;
    /// Nothing is polled any more, and JavaScript is not called.
    fn close(&self);
}

impl Polling {
    /// Of the event loop of `env`. Frames go to `on_frame`, packed ones through `inbox`; `telling` is 1 meanwhile, if the loop
    /// reads them. Nothing of libuv is used unless `options.libuv` says that this is Node's.
    ///
    /// # Errors
    /// When Node has no resources left.
    pub fn new(
        env: Env,
        options: &NativeAgentOptions,
        on_frame: &OnFrame<'_>,
        telling: Uint8Array,
        inbox: Uint8Array,
    ) -> Result<Self> {
        if options.libuv {
            Poller::start(env, options, on_frame, telling, inbox)
        } else {
            Ok(Self::default())
        }
    }

    /// What the event loop notes of itself; its clock is not to be asked any more when the environment has ended.
    pub fn turns(&self) -> Option<Arc<Turns>> {
        self.turns.clone()
    }

    /// Who reads the lanes.
    pub fn read_by(&self) -> ReadBy {
        self.poller.as_ref().map_or(ReadBy::Thread, |poller| poller.read_by())
    }

    /// Whether the event loop may wait awake.
    pub fn spins(&self) -> bool {
        self.poller.as_ref().is_some_and(|poller| poller.spins())
    }

    /// Reads a lane from now on, if it is for the event loop to read.
    pub fn read(&self, agent: &Agent, lane: u32) {
        if let (Some(poller), Some(lane)) = (&self.poller, agent.lane(lane)) {
            poller.read(lane);
        }
    }

    /// JavaScript has found that a lane brings no frames of calls.
    pub fn refuse(&self, agent: &Agent, lane: u32, reason: String) {
        match (&self.poller, agent.lane(lane)) {
            (Some(poller), _) => poller.refuse(lane, reason),
            (None, Some(lane)) => lane.end(Err(AgentError::BadFrame(reason))),
            (None, None) => {}
        }
    }

    /// Something is about to be sent on a lane.
    pub fn sends(&self, lane: u32) {
        if let Some(poller) = &self.poller {
            poller.sends(lane);
        }
    }
}

impl PolledLanes for Polling {
    fn resume(&self, lane: LaneId) {
        if let Some(poller) = &self.poller {
            poller.resume(lane.0);
        }
    }

    fn finish(&self, lane: LaneId) -> Option<Final> {
        self.poller.as_ref()?.finish(lane.0)
    }

    fn close(&self) {
        if let Some(poller) = &self.poller {
            poller.close();
        }
    }
}
