//! Call lanes on the event loop: each socket is polled there, and what arrives goes to JavaScript at once, without
//! another thread.
//!
//! # Platform-specific behaviour
//! Windows, and runtimes that have a Node-API but no libuv: there is none of it, and a thread reads the lanes.

#[cfg(unix)]
mod poller;
#[cfg(unix)]
pub mod spin;
#[cfg(unix)]
mod uv;

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Uint8Array};
use napi::Result;

use crate::agent::Agent;
#[cfg(unix)]
use crate::callback::FrameCallback;
use crate::callback::{OnFrame, PolledLanes};
use crate::ipc::lane::{LaneId, ReadBy};
use crate::ipc::message::Final;
use crate::watch::event_loop::Turns;
use crate::NativeAgentOptions;

/// The lanes of one agent that its event loop reads, if it can. Belongs to the thread of that loop.
pub struct Polling {
    #[cfg(unix)]
    poller: Option<std::rc::Rc<poller::Poller>>,
    turns: Option<Arc<Turns>>,
}

#[cfg(unix)]
impl Polling {
    /// Of the event loop of `env`. Frames go to `on_frame`, packed ones through `inbox`; `telling` is 1 meanwhile, if the loop
    /// reads them.
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
        let event_loop = env.get_uv_event_loop()?;
        // SAFETY: the agent's thread, which asks, is joined by a cleanup hook, before the loop is closed.
        let clock = unsafe { uv::sleep_clock(event_loop.cast()) };
        let turns = clock.map(|clock| Arc::new(Turns::new(clock)));
        let poller = if options.poll_lanes {
            let js = FrameCallback::new(env, on_frame, telling, inbox)?;
            poller::Poller::new(env, js, options.spin, turns.clone())?
        } else {
            None
        };
        Ok(Self { poller, turns })
    }

    /// What the event loop notes of itself; its clock is not to be asked any more when the environment has ended.
    pub fn turns(&self) -> Option<Arc<Turns>> {
        self.turns.clone()
    }

    /// Who reads the lanes.
    pub fn read_by(&self) -> ReadBy {
        if self.poller.is_some() {
            ReadBy::EventLoop
        } else {
            ReadBy::Thread
        }
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
            (None, Some(lane)) => lane.hang_up(),
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

#[cfg(unix)]
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

#[cfg(not(unix))]
#[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as on Unix")]
impl Polling {
    pub fn new(
        _env: Env,
        _options: &NativeAgentOptions,
        _on_frame: &OnFrame<'_>,
        _telling: Uint8Array,
        _inbox: Uint8Array,
    ) -> Result<Self> {
        Ok(Self {})
    }

    pub fn turns(&self) -> Option<Arc<Turns>> {
        None
    }

    pub fn read_by(&self) -> ReadBy {
        ReadBy::Thread
    }

    pub fn spins(&self) -> bool {
        false
    }

    pub fn read(&self, _agent: &Agent, _lane: u32) {}

    pub fn refuse(&self, _agent: &Agent, _lane: u32, _reason: String) {}

    pub fn sends(&self, _lane: u32) {}
}

#[cfg(not(unix))]
impl PolledLanes for Polling {
    fn resume(&self, _lane: LaneId) {}

    fn finish(&self, _lane: LaneId) -> Option<Final> {
        None
    }

    fn close(&self) {}
}
