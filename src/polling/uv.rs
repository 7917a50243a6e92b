//! libuv, as far as call lanes need it: the functions that Node exports, and owned handles.
//!
//! They are looked up by name when they are first needed, because other runtimes have a Node-API and no libuv. All of it
//! belongs to the thread of one event loop. A handle's memory is libuv's until its close callback has run; that is the
//! one rule that everything unsafe here keeps.

use std::alloc::{alloc_zeroed, dealloc, Layout};
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::OnceLock;

use std::time::Duration;

use libloading::os::unix::Library;

use crate::watch::event_loop::SleepClock;

type RawLoop = *mut c_void;
type RawHandle = *mut c_void;
type OnPoll = unsafe extern "C" fn(RawHandle, c_int, c_int);
type OnTurn = unsafe extern "C" fn(RawHandle);

/// The numbers of `uv_handle_type`.
const IDLE: c_int = 6;
const POLL: c_int = 8;
const PREPARE: c_int = 9;
/// `UV_READABLE`
const READABLE: c_int = 1;

struct Symbols {
    handle_size: unsafe extern "C" fn(c_int) -> usize,
    handle_get_data: unsafe extern "C" fn(RawHandle) -> *mut c_void,
    handle_set_data: unsafe extern "C" fn(RawHandle, *mut c_void),
    unref: unsafe extern "C" fn(RawHandle),
    close: unsafe extern "C" fn(RawHandle, OnTurn),
    poll_init: unsafe extern "C" fn(RawLoop, RawHandle, c_int) -> c_int,
    poll_start: unsafe extern "C" fn(RawHandle, c_int, OnPoll) -> c_int,
    poll_stop: unsafe extern "C" fn(RawHandle) -> c_int,
    prepare_init: unsafe extern "C" fn(RawLoop, RawHandle) -> c_int,
    prepare_start: unsafe extern "C" fn(RawHandle, OnTurn) -> c_int,
    idle_init: unsafe extern "C" fn(RawLoop, RawHandle) -> c_int,
    idle_start: unsafe extern "C" fn(RawHandle, OnTurn) -> c_int,
    idle_stop: unsafe extern "C" fn(RawHandle) -> c_int,
    backend_timeout: unsafe extern "C" fn(RawLoop) -> c_int,
    backend_fd: unsafe extern "C" fn(RawLoop) -> c_int,
    /// Since libuv 1.39.
    metrics_idle_time: Option<unsafe extern "C" fn(RawLoop) -> u64>,
}

fn symbols() -> Option<&'static Symbols> {
    static SYMBOLS: OnceLock<Option<Symbols>> = OnceLock::new();
    SYMBOLS.get_or_init(load).as_ref()
}

fn load() -> Option<Symbols> {
    let process = Library::this();
    macro_rules! symbol {
        ($name:literal) => {
            // SAFETY: each field of `Symbols` has the type that libuv 1.x documents for the function of this name.
            unsafe { *process.get($name).ok()? }
        };
    }
    Some(Symbols {
        handle_size: symbol!(b"uv_handle_size\0"),
        handle_get_data: symbol!(b"uv_handle_get_data\0"),
        handle_set_data: symbol!(b"uv_handle_set_data\0"),
        unref: symbol!(b"uv_unref\0"),
        close: symbol!(b"uv_close\0"),
        poll_init: symbol!(b"uv_poll_init\0"),
        poll_start: symbol!(b"uv_poll_start\0"),
        poll_stop: symbol!(b"uv_poll_stop\0"),
        prepare_init: symbol!(b"uv_prepare_init\0"),
        prepare_start: symbol!(b"uv_prepare_start\0"),
        idle_init: symbol!(b"uv_idle_init\0"),
        idle_start: symbol!(b"uv_idle_start\0"),
        idle_stop: symbol!(b"uv_idle_stop\0"),
        backend_timeout: symbol!(b"uv_backend_timeout\0"),
        backend_fd: symbol!(b"uv_backend_fd\0"),
        // SAFETY: as in `symbol`.
        metrics_idle_time: unsafe { process.get(b"uv_metrics_idle_time\0").ok().map(|found| *found) },
    })
}

/// Tells for how long the loop at `raw` has slept. Node has it counted, for `performance.eventLoopUtilization()`.
///
/// # Safety
/// `raw` is a `uv_loop_t` that lives as long as the clock is asked.
pub unsafe fn sleep_clock(raw: *mut c_void) -> Option<SleepClock> {
    struct Shared(NonNull<c_void>);
    // SAFETY: `uv_metrics_idle_time` is one of the functions that libuv documents as safe in every thread.
    unsafe impl Send for Shared {}
    // SAFETY: as above.
    unsafe impl Sync for Shared {}
    impl Shared {
        fn raw(&self) -> *mut c_void {
            self.0.as_ptr()
        }
    }

    let (raw, idle_time) = (Shared(NonNull::new(raw)?), symbols()?.metrics_idle_time?);
    // SAFETY: the caller's promise.
    Some(Box::new(move || Duration::from_nanos(unsafe { idle_time(raw.raw()) })))
}

/// An event loop, seen from its own thread.
pub struct EventLoop {
    raw: NonNull<c_void>,
    uv: &'static Symbols,
    /// Handles whose memory is libuv's.
    open: Cell<usize>,
    when_none_is_open: RefCell<Option<Box<dyn FnOnce()>>>,
}

impl EventLoop {
    /// The event loop at `raw`; `None` when there is no libuv in this process.
    ///
    /// # Safety
    /// `raw` is the `uv_loop_t` of the calling thread, and lives until [`Self::when_none_is_open`] has called.
    pub unsafe fn new(raw: *mut c_void) -> Option<Rc<Self>> {
        let (raw, uv) = (NonNull::new(raw)?, symbols()?);
        Some(Rc::new(Self { raw, uv, open: Cell::new(0), when_none_is_open: RefCell::default() }))
    }

    /// Calls `done` when no handle is open any more: now, if none is.
    pub fn when_none_is_open(&self, done: impl FnOnce() + 'static) {
        if self.open.get() == 0 {
            done();
        } else {
            *self.when_none_is_open.borrow_mut() = Some(Box::new(done));
        }
    }

    /// For how many ms it would sleep if it went to sleep now; 0 when something is to be done.
    pub fn may_sleep_ms(&self) -> c_int {
        // SAFETY: the loop lives, and this is its thread; both hold for as long as a handle is open.
        unsafe { (self.uv.backend_timeout)(self.raw.as_ptr()) }
    }

    /// Whether the operating system has something for it. Costs a system call.
    pub fn has_events(&self) -> bool {
        use rustix::event::{poll, PollFd, PollFlags, Timespec};
        // SAFETY: as in `may_sleep_ms`; the descriptor is the loop's own, which closes it after all handles.
        let backend = unsafe { BorrowedFd::borrow_raw((self.uv.backend_fd)(self.raw.as_ptr())) };
        let mut fds = [PollFd::new(&backend, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }

    /// A handle that calls `run` when `fd` can be read, or has ended. Doesn't keep the loop alive.
    pub fn poll(self: &Rc<Self>, fd: BorrowedFd<'_>, run: impl Fn() + 'static) -> Option<Handle> {
        let fd = fd.as_raw_fd();
        // SAFETY: `raw` is memory for a handle of this type.
        self.handle(POLL, Box::new(run), |uv, raw| unsafe { (uv.poll_init)(self.raw.as_ptr(), raw, fd) })
    }

    /// A handle that calls `run` in each turn, before the loop looks for events.
    pub fn prepare(self: &Rc<Self>, run: impl Fn() + 'static) -> Option<Handle> {
        // SAFETY: as in `poll`.
        let init = |uv: &Symbols, raw| unsafe { (uv.prepare_init)(self.raw.as_ptr(), raw) };
        let handle = self.handle(PREPARE, Box::new(run), init)?;
        // SAFETY: it is initialized, and not closed.
        unsafe { (self.uv.prepare_start)(handle.raw, on_turn) };
        Some(handle)
    }

    /// A handle that keeps the loop from sleeping, while it is started.
    pub fn idle(self: &Rc<Self>) -> Option<Handle> {
        // SAFETY: as in `poll`.
        self.handle(IDLE, Box::new(|| {}), |uv, raw| unsafe { (uv.idle_init)(self.raw.as_ptr(), raw) })
    }

    fn handle(
        self: &Rc<Self>,
        kind: c_int,
        run: Box<dyn Fn()>,
        init: impl FnOnce(&Symbols, RawHandle) -> c_int,
    ) -> Option<Handle> {
        let uv = self.uv;
        // SAFETY: `uv_handle_size` only looks into a table.
        let layout = Layout::from_size_align(unsafe { (uv.handle_size)(kind) }, 16).ok()?;
        // SAFETY: no handle has size 0.
        let raw: RawHandle = unsafe { alloc_zeroed(layout) }.cast();
        if raw.is_null() || init(uv, raw) != 0 {
            if !raw.is_null() {
                // SAFETY: it was allocated with this layout, and libuv has refused it.
                unsafe { dealloc(raw.cast(), layout) };
            }
            return None;
        }
        self.open.set(self.open.get() + 1);
        let owned = Box::new(Owned { run, layout, event_loop: Rc::clone(self) });
        // SAFETY: it is initialized; `owned` is taken back by `on_closed`.
        unsafe {
            (uv.handle_set_data)(raw, Box::into_raw(owned).cast());
            (uv.unref)(raw);
        }
        Some(Handle { raw, uv })
    }
}

/// What a handle's data points to.
struct Owned {
    run: Box<dyn Fn()>,
    layout: Layout,
    event_loop: Rc<EventLoop>,
}

/// A handle of libuv's. Dropping it closes it.
pub struct Handle {
    raw: RawHandle,
    uv: &'static Symbols,
}

impl Handle {
    /// Watches (a poll handle).
    pub fn watch(&self) {
        // SAFETY: it is initialized, and not closed: that is the end of `self`.
        unsafe { (self.uv.poll_start)(self.raw, READABLE, on_poll) };
    }

    /// Watches no more (a poll handle).
    pub fn unwatch(&self) {
        // SAFETY: as in `watch`.
        unsafe { (self.uv.poll_stop)(self.raw) };
    }

    /// Keeps the loop from sleeping, or no more (an idle handle).
    pub fn keep_awake(&self, awake: bool) {
        // SAFETY: as in `watch`.
        unsafe {
            if awake {
                (self.uv.idle_start)(self.raw, on_turn);
            } else {
                (self.uv.idle_stop)(self.raw);
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: it is initialized, and closed once.
        unsafe { (self.uv.close)(self.raw, on_closed) };
    }
}

unsafe extern "C" fn on_poll(raw: RawHandle, _status: c_int, _events: c_int) {
    // An error may come while there is still something to read: whoever reads meets it.
    // SAFETY: libuv calls with the handle that was started, before it is closed.
    unsafe { on_turn(raw) }
}

unsafe extern "C" fn on_turn(raw: RawHandle) {
    let Some(uv) = symbols() else { return };
    // SAFETY: the data is an `Owned`, which lives until `on_closed`, and that is never called from within a callback.
    let owned = unsafe { &*(uv.handle_get_data)(raw).cast::<Owned>() };
    // A panic must not cross into C. It was reported when it happened.
    let _ = catch_unwind(AssertUnwindSafe(|| (owned.run)()));
}

unsafe extern "C" fn on_closed(raw: RawHandle) {
    let Some(uv) = symbols() else { return };
    // SAFETY: it is called once, and nothing else takes the data back.
    let owned = unsafe { Box::from_raw((uv.handle_get_data)(raw).cast::<Owned>()) };
    // SAFETY: it was allocated with this layout, and is libuv's no more.
    unsafe { dealloc(raw.cast(), owned.layout) };
    let event_loop = &owned.event_loop;
    event_loop.open.set(event_loop.open.get() - 1);
    if event_loop.open.get() == 0 {
        let done = event_loop.when_none_is_open.borrow_mut().take();
        let _ = catch_unwind(AssertUnwindSafe(|| done.map(|done| done())));
    }
}
