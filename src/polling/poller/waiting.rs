//! What a poller does before its loop goes to sleep. While an answer is expected it may wait awake for it, as
//! [`crate::polling::spin`] allows: never with other work waiting, and others have their turn after [`TURN`]. As long as it is
//! awake it attends to lanes with shared memory, through which the other end may send then.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{Polled, Poller};
use crate::ipc::lane::reader::Fill;
use crate::polling::spin::{CAP, CONTENDED};

/// How long the loop may wait awake, and run what comes, before others have their turn.
const TURN: Duration = Duration::from_micros(200);
/// How often the lane is looked at, for each look at everything else.
const LOOKS: usize = 4;
/// How often shared memory is looked at, for each look at the socket: some microseconds.
const MEMORY_LOOKS: usize = 64;
/// A processor that was given away for longer was taken: to give it away to nobody takes less than one.
const GIVEN_AWAY: Duration = Duration::from_micros(2);

impl Poller {
    /// The lane may speak soon, and is attended to until the loop sleeps.
    pub(super) fn expect(&self, polled: &Rc<Polled>) {
        self.expects.set(true);
        let mut recent = self.recent.borrow_mut();
        if !std::ptr::eq(recent.as_ptr(), Rc::as_ptr(polled)) {
            *recent = Rc::downgrade(polled);
        }
        if !polled.attended.get() {
            polled.reader.borrow_mut().wake();
            if polled.reader.borrow().has_memory() {
                polled.attended.set(true);
                self.attended.borrow_mut().push(Rc::clone(polled));
            }
        }
    }

    /// The loop is about to go to sleep, or to look for events.
    pub(super) fn before_sleep(&self) {
        if self.is_awake.replace(false) {
            self.keep_awake(false);
        }
        self.read_memory();
        if self.wait_awake() {
            // It is said so to libuv, too: what was about to be done may be done by somebody else meanwhile.
            self.keep_awake(true);
        } else {
            self.attend_no_more();
        }
    }

    /// Reads what has come through shared memory.
    fn read_memory(&self) -> Fill {
        let Some(js) = self.js.borrow().clone() else { return Fill::End };
        let mut filled = Fill::Nothing;
        let mut i = 0;
        loop {
            // Not borrowed while JavaScript runs.
            let Some(polled) = self.attended.borrow().get(i).cloned() else { return filled };
            i += 1;
            let reader = polled.reader.borrow();
            if reader.has_next() && !reader.pause() {
                drop(reader);
                if Self::tell(&js, &polled) {
                    filled = Fill::Some;
                    if polled.calls_us {
                        self.expects.set(true);
                    }
                }
            }
        }
    }

    /// If an answer is expected, waits awake for it, for a while; `true` when the loop is not to sleep after that, because
    /// something else is to be done.
    fn wait_awake(&self) -> bool {
        if !self.expects.replace(false) {
            return false;
        }
        let (Some(budget), Some(polled)) = (&self.budget, self.recent.borrow().upgrade()) else {
            return false;
        };
        let mut now = Instant::now();
        if self.event_loop.may_sleep_ms() == 0 {
            return true;
        }
        if !budget.borrow_mut().allows(now) {
            return false;
        }
        let (began, mut waits_since, mut contended) = (now, now, false);
        // Where both ends share one processor, the other end comes to it only when this one gives it away.
        let mut shares_core = true;
        for looks in 1.. {
            let times = if shares_core { 1 } else { MEMORY_LOOKS };
            if self.look(&polled, times) == Fill::Some {
                if self.event_loop.may_sleep_ms() == 0 {
                    return true;
                }
                if !self.expects.replace(false) {
                    return false;
                }
                now = Instant::now();
                if now - began >= TURN {
                    // Timers and sockets first; then on.
                    self.expects.set(true);
                    return true;
                }
                waits_since = now;
                continue;
            }
            if looks % LOOKS == 0 && self.event_loop.has_events() {
                return true;
            }
            let before = Instant::now();
            rustix::thread::sched_yield();
            let after = Instant::now();
            shares_core = after - before > GIVEN_AWAY;
            contended |= after - now > CONTENDED;
            now = after;
            if contended || now - waits_since >= CAP {
                budget.borrow_mut().missed(now - waits_since, contended);
                return false;
            }
        }
        false
    }

    /// Looks for a frame: so many times where that costs nothing, and once at the socket.
    fn look(&self, polled: &Polled, times: usize) -> Fill {
        for _ in 0..times {
            if self.attended.borrow().iter().any(|polled| polled.reader.borrow().has_next()) {
                if self.read_memory() == Fill::Some {
                    return Fill::Some;
                }
                break;
            }
            std::hint::spin_loop();
        }
        let filled = self.pump(polled, true);
        if filled == Fill::Some && polled.calls_us {
            self.expects.set(true);
        }
        filled
    }

    /// The loop goes to sleep: what is sent from now on has to come on the sockets.
    fn attend_no_more(&self) {
        loop {
            let Some(polled) = self.attended.borrow_mut().pop() else { return };
            polled.attended.set(false);
            let reader = polled.reader.borrow();
            // Who may not be read now is read when there is room.
            if reader.sleep() && !reader.pause() {
                drop(reader);
                // In the next turn, which comes at once.
                self.expect(&polled);
                self.keep_awake(true);
                return;
            }
        }
    }

    fn keep_awake(&self, awake: bool) {
        self.is_awake.set(awake);
        if let Some(handle) = self.awake.borrow().as_ref() {
            handle.keep_awake(awake);
        }
    }
}
