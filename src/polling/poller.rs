//! Polls the sockets of call lanes on the event loop, and gives their frames to JavaScript.

mod waiting;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::os::fd::AsFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use napi::bindgen_prelude::{Env, Uint8Array};
use napi::Result;

use super::{Poll, Polling};
use crate::callback::{EnvironmentEnd, FrameCallback, OnFrame};
use crate::error::AgentError;
use crate::ipc::lane::reader::{Fill, LaneReader};
use crate::ipc::lane::{Lane, ReadBy};
use crate::ipc::message::Final;
use crate::polling::spin::{has_free_core, Budget};
use crate::polling::uv::{sleep_clock, EventLoop, Handle};
use crate::watch::event_loop::Turns;
use crate::NativeAgentOptions;

/// How often a socket is read before other work of the loop has its turn, if a frame is not whole until then.
const READS: usize = 4;

/// See the module. Belongs to the thread of its event loop.
pub struct Poller {
    // Before the loop: handles are closed first.
    lanes: RefCell<HashMap<u32, Rc<Polled>>>,
    prepare: RefCell<Option<Handle>>,
    /// Keeps the loop from sleeping, while an answer is expected and others have their turn.
    awake: RefCell<Option<Handle>>,
    event_loop: Rc<EventLoop>,
    js: RefCell<Option<Rc<FrameCallback>>>,
    end: RefCell<Option<EnvironmentEnd>>,
    budget: Option<RefCell<Budget>>,
    /// The lane that has spoken last, and whether it is expected to speak again soon.
    recent: RefCell<Weak<Polled>>,
    expects: Cell<bool>,
    /// Lanes that may bring frames through shared memory, of which no event tells: they are looked at before the loop sleeps.
    attended: RefCell<Vec<Rc<Polled>>>,
    is_awake: Cell<bool>,
}

/// A lane that is polled.
struct Polled {
    // Before the reader: the descriptor is polled no more when it is closed.
    poll: Handle,
    reader: RefCell<LaneReader>,
    calls_us: bool,
    /// It is among [`Poller::attended`].
    attended: Cell<bool>,
}

impl Poll for Poller {
    fn start(
        env: Env,
        options: &NativeAgentOptions,
        on_frame: &OnFrame<'_>,
        telling: Uint8Array,
        inbox: Uint8Array,
    ) -> Result<Polling> {
        let event_loop = env.get_uv_event_loop()?;
        // SAFETY: the agent's thread, which asks, is joined by a cleanup hook, before the loop is closed.
        let clock = unsafe { sleep_clock(event_loop.cast()) };
        let turns = clock.map(|clock| Arc::new(Turns::new(clock)));
        let poller = if options.poll_lanes {
            let js = FrameCallback::new(env, on_frame, telling, inbox)?;
            Self::new(env, js, options.spin, turns.clone())?
        } else {
            None
        };
        Ok(Polling { poller, turns })
    }

    fn read_by(&self) -> ReadBy {
        ReadBy::EventLoop
    }

    fn spins(&self) -> bool {
        self.budget.is_some()
    }

    fn read(self: &Rc<Self>, lane: Arc<Lane>) {
        let id = lane.id.0;
        let Some(mut reader) = LaneReader::new(lane, self.budget.is_some()) else { return };
        let weak = Rc::downgrade(self);
        let poll = self.event_loop.poll(reader.as_fd(), move || {
            if let Some(this) = weak.upgrade() {
                this.readable(id);
            }
        });
        let Some(poll) = poll else {
            reader.end(Err(AgentError::Disconnected));
            return;
        };
        poll.watch();
        let calls_us = reader.lane().calls_us;
        let polled = Polled { poll, reader: RefCell::new(reader), calls_us, attended: Cell::new(false) };
        self.lanes.borrow_mut().insert(id, Rc::new(polled));
    }

    fn finish(&self, lane: u32) -> Option<Final> {
        let polled = self.lanes.borrow_mut().remove(&lane)?;
        polled.reader.borrow_mut().read_out();
        while self.pump(&polled, false) == Fill::Some {}
        let last = polled.reader.borrow().lane().last();
        last
    }

    fn resume(&self, lane: u32) {
        if let Some(polled) = self.polled(lane) {
            polled.poll.watch();
            if polled.reader.borrow().has_next() {
                self.expect(&polled);
            }
        }
    }

    fn refuse(&self, lane: u32, reason: String) {
        if let Some(polled) = self.polled(lane) {
            polled.poll.unwatch();
            polled.reader.borrow_mut().end(Err(AgentError::BadFrame(reason)));
        }
    }

    fn sends(&self, lane: u32) {
        if self.budget.is_some() {
            if let Some(polled) = self.polled(lane) {
                self.expect(&polled);
            }
        }
    }

    fn close(&self) {
        self.lanes.borrow_mut().clear();
        self.attended.borrow_mut().clear();
        self.prepare.borrow_mut().take();
        self.awake.borrow_mut().take();
        self.js.borrow_mut().take();
        if let Some(end) = self.end.borrow_mut().take() {
            self.event_loop.when_none_is_open(move || end.may_come());
        }
    }
}

impl Poller {
    /// A poller for the event loop of `env`, which gives frames to `js`, and notes `turns`; `None` when this process
    /// has no libuv.
    ///
    /// # Errors
    /// When Node has no resources left.
    fn new(env: Env, js: FrameCallback, spin: bool, turns: Option<Arc<Turns>>) -> Result<Option<Rc<Self>>> {
        // SAFETY: it is the loop of this thread; `EnvironmentEnd` makes Node wait with its end for our handles.
        let Some(event_loop) = (unsafe { EventLoop::new(env.get_uv_event_loop()?.cast()) }) else {
            return Ok(None);
        };
        let budget = (spin && has_free_core()).then(|| RefCell::new(Budget::new(Instant::now())));
        let poller = Rc::new(Self {
            lanes: RefCell::default(),
            prepare: RefCell::default(),
            awake: RefCell::default(),
            event_loop,
            js: RefCell::new(Some(Rc::new(js))),
            end: RefCell::default(),
            budget,
            recent: RefCell::default(),
            expects: Cell::new(false),
            attended: RefCell::default(),
            is_awake: Cell::new(false),
        });
        let weak = Rc::downgrade(&poller);
        let close = move || {
            if let Some(poller) = weak.upgrade() {
                poller.close();
            }
        };
        *poller.end.borrow_mut() = Some(EnvironmentEnd::new(env, close)?);
        if poller.budget.is_some() {
            *poller.awake.borrow_mut() = poller.event_loop.idle();
        }
        if poller.budget.is_some() || turns.is_some() {
            let weak = Rc::downgrade(&poller);
            *poller.prepare.borrow_mut() = poller.event_loop.prepare(move || {
                if let Some(turns) = &turns {
                    turns.note();
                }
                let Some(poller) = weak.upgrade() else { return };
                if poller.expects.get() || poller.is_awake.get() || !poller.attended.borrow().is_empty() {
                    poller.before_sleep();
                    // What it has run is no part of the next turn.
                    if let Some(turns) = &turns {
                        turns.begin();
                    }
                }
            });
        }
        Ok(Some(poller))
    }

    fn polled(&self, lane: u32) -> Option<Rc<Polled>> {
        self.lanes.borrow().get(&lane).cloned()
    }

    fn readable(&self, lane: u32) {
        if let Some(polled) = self.polled(lane) {
            if self.pump(&polled, true) == Fill::Some && polled.calls_us && self.budget.is_some() {
                // Who has called once may call again.
                self.expect(&polled);
            }
        }
    }

    /// Reads what is there, a bounded part of it, and gives it to JavaScript; `Some` when JavaScript got something.
    fn pump(&self, polled: &Polled, may_pause: bool) -> Fill {
        let Some(js) = self.js.borrow().clone() else { return Fill::End };
        for _ in 0..READS {
            if may_pause && polled.reader.borrow().pause() {
                polled.poll.unwatch();
                return Fill::Nothing;
            }
            let filled = polled.reader.borrow_mut().fill();
            let told = Self::tell(&js, polled);
            if filled == Fill::End {
                polled.poll.unwatch();
            }
            if told {
                return Fill::Some;
            }
            if filled != Fill::Some {
                return filled;
            }
        }
        Fill::Nothing
    }

    /// Gives JavaScript what has arrived.
    fn tell(js: &FrameCallback, polled: &Polled) -> bool {
        // After the socket was read: what went through memory before what it has brought is seen now.
        polled.reader.borrow_mut().look();
        let id = polled.reader.borrow().lane().id;
        let mut told = false;
        loop {
            // Not borrowed while JavaScript runs: it may end the lane, and sends on it.
            let next = polled.reader.borrow_mut().next_frame();
            let Some(frame) = next else { return told };
            told = true;
            js.tell(id, &frame);
        }
    }
}
