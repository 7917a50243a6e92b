//! Frames to JavaScript straight from the event loop: from a handle of libuv's, where no napi call is under way.
//!
//! napi-rs has no word for that: what is here is Node-API itself.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr::null_mut;

use napi::bindgen_prelude::{Env, JsValue, Uint8Array};
use napi::{check_status, sys, Result};

use super::OnFrame;
use crate::ipc::frame::{Codec, Frame, Kind};
use crate::ipc::lane::LaneId;

/// A function of JavaScript's that gets frames.
pub struct FrameCallback {
    env: sys::napi_env,
    function: sys::napi_ref,
    context: sys::napi_async_context,
    telling: RefCell<Uint8Array>,
    inbox: RefCell<Uint8Array>,
    /// How many frames are being told: JavaScript can turn the event loop inside of one, if it insists.
    depth: Cell<u32>,
}

impl FrameCallback {
    /// Keeps `on_frame` until it is dropped, which has to happen on the same thread. `telling` has 1 in it while it runs, and
    /// else 0. Packed frames are put into `inbox`, of which JavaScript is told how many bytes they are.
    ///
    /// # Errors
    /// When Node has no resources left.
    pub fn new(env: Env, on_frame: &OnFrame<'_>, telling: Uint8Array, inbox: Uint8Array) -> Result<Self> {
        let env = env.raw();
        let (mut function, mut context, mut name) = (null_mut(), null_mut(), null_mut());
        let label = "process-agent";
        // SAFETY: called from JavaScript, with its environment and with places for the results.
        unsafe {
            check_status!(sys::napi_create_reference(env, on_frame.raw(), 1, &raw mut function))?;
            let length = isize::try_from(label.len()).unwrap_or(0);
            check_status!(sys::napi_create_string_utf8(env, label.as_ptr().cast(), length, &raw mut name))?;
            check_status!(sys::napi_async_init(env, null_mut(), name, &raw mut context))?;
        }
        let (telling, inbox) = (RefCell::new(telling), RefCell::new(inbox));
        let callback = Self { env, function, context, telling, inbox, depth: Cell::new(0) };
        callback.set_telling(false);
        Ok(callback)
    }

    /// Calls it with a frame; promises that are settled meanwhile have their reactions run before this returns.
    pub fn tell(&self, lane: LaneId, frame: &Frame) {
        let outer = self.depth.get();
        self.depth.set(outer + 1);
        self.set_telling(true);
        self.tell_in_scopes(lane, frame);
        self.set_telling(outer > 0);
        self.depth.set(outer);
    }

    fn set_telling(&self, telling: bool) {
        // SAFETY: this is JavaScript's thread, which does not run meanwhile.
        if let Some(byte) = unsafe { self.telling.borrow_mut().as_mut() }.first_mut() {
            *byte = u8::from(telling);
        }
    }

    fn tell_in_scopes(&self, lane: LaneId, frame: &Frame) {
        // SAFETY: the environment lives as long as `self`, and this is its thread; scopes are closed in reverse order.
        unsafe {
            let (mut handles, mut callback) = (null_mut(), null_mut());
            if sys::napi_open_handle_scope(self.env, &raw mut handles) != sys::Status::napi_ok {
                return;
            }
            let opened = sys::napi_open_callback_scope(self.env, null_mut(), self.context, &raw mut callback);
            if opened == sys::Status::napi_ok {
                if self.call(lane, frame).is_none() {
                    self.report();
                }
                sys::napi_close_callback_scope(self.env, callback);
            }
            sys::napi_close_handle_scope(self.env, handles);
        }
    }

    /// # Safety
    /// In a handle scope, on the thread of the environment.
    unsafe fn call(&self, lane: LaneId, frame: &Frame) -> Option<()> {
        let ok = |status| (status == sys::Status::napi_ok).then_some(());
        let (mut function, mut this) = (null_mut(), null_mut());
        let mut args = [null_mut(); 3];
        // SAFETY: all values are of the scope that is open, and all places are valid.
        unsafe {
            ok(sys::napi_get_reference_value(self.env, self.function, &raw mut function))?;
            ok(sys::napi_get_undefined(self.env, &raw mut this))?;
            ok(sys::napi_create_uint32(self.env, lane.0, &raw mut args[0]))?;
            ok(sys::napi_create_uint32(self.env, frame.kind as u32, &raw mut args[1]))?;
            ok(self.payload(frame, &raw mut args[2]))?;
            ok(sys::napi_call_function(self.env, this, function, args.len(), args.as_ptr(), null_mut()))
        }
    }

    /// # Safety
    /// As [`Self::call`].
    unsafe fn payload(&self, frame: &Frame, value: *mut sys::napi_value) -> sys::napi_status {
        let (bytes, length) = (frame.payload.as_ptr(), frame.payload.len());
        let signed = isize::try_from(length).unwrap_or(isize::MAX);
        // SAFETY: `bytes` are so many, and Node copies them.
        unsafe {
            match frame.codec {
                // V8 takes these as they are.
                Codec::Text if frame.payload.is_ascii() => {
                    sys::napi_create_string_latin1(self.env, bytes.cast(), signed, value)
                }
                Codec::Text => sys::napi_create_string_utf8(self.env, bytes.cast(), signed, value),
                Codec::Bytes => match self.put_in_inbox(frame) {
                    Some(length) => sys::napi_create_uint32(self.env, length, value),
                    None => sys::napi_create_buffer_copy(self.env, length, bytes.cast(), null_mut(), value),
                },
            }
        }
    }

    /// Puts a packed frame where JavaScript reads it without being given memory for each; gives back how long it is, or
    /// `None` when it does not fit, or when JavaScript is still at the one before.
    fn put_in_inbox(&self, frame: &Frame) -> Option<u32> {
        if !matches!(frame.kind, Kind::PackedCalls | Kind::PackedReplies) || self.depth.get() > 1 {
            return None;
        }
        let mut inbox = self.inbox.borrow_mut();
        // SAFETY: this is JavaScript's thread, which does not run meanwhile.
        let room = unsafe { inbox.as_mut() }.get_mut(..frame.payload.len())?;
        room.copy_from_slice(&frame.payload);
        u32::try_from(frame.payload.len()).ok()
    }

    /// What was thrown becomes an uncaught exception. A string that is too long for V8 is one, for another.
    ///
    /// # Safety
    /// As [`Self::call`].
    unsafe fn report(&self) {
        let (mut thrown, mut pending) = (null_mut(), false);
        // SAFETY: as in `call`.
        unsafe {
            sys::napi_is_exception_pending(self.env, &raw mut pending);
            if pending
                && sys::napi_get_and_clear_last_exception(self.env, &raw mut thrown) == sys::Status::napi_ok
            {
                sys::napi_fatal_exception(self.env, thrown);
            }
        }
    }
}

impl Drop for FrameCallback {
    fn drop(&mut self) {
        // SAFETY: both were made by `new`, for this environment, and this is its thread.
        unsafe {
            sys::napi_delete_reference(self.env, self.function);
            sys::napi_async_destroy(self.env, self.context);
        }
    }
}

/// The end of the environment, which waits for us.
pub struct EnvironmentEnd {
    handle: sys::napi_async_cleanup_hook_handle,
    close: *mut Box<dyn Fn()>,
}

impl EnvironmentEnd {
    /// Calls `close` when the environment ends, and holds the end up until [`Self::may_come`].
    ///
    /// # Errors
    /// When Node has no resources left.
    pub fn new(env: Env, close: impl Fn() + 'static) -> Result<Self> {
        let close: *mut Box<dyn Fn()> = Box::into_raw(Box::new(Box::new(close)));
        let mut handle = null_mut();
        // SAFETY: called from JavaScript; `close` lives until `may_come`, which takes the hook away.
        let status = unsafe {
            sys::napi_add_async_cleanup_hook(env.raw(), Some(on_end), close.cast(), &raw mut handle)
        };
        let end = Self { handle, close };
        if let Err(error) = check_status!(status) {
            // SAFETY: nothing refers to it.
            drop(unsafe { Box::from_raw(end.close) });
            return Err(error);
        }
        Ok(end)
    }

    /// All that has to be closed before the end is closed.
    pub fn may_come(self) {
        // SAFETY: once, as `self` is used up; after it nobody calls `close`.
        unsafe {
            sys::napi_remove_async_cleanup_hook(self.handle);
            drop(Box::from_raw(self.close));
        }
    }
}

unsafe extern "C" fn on_end(_handle: sys::napi_async_cleanup_hook_handle, close: *mut c_void) {
    // SAFETY: it is what `new` has given, and lives until `may_come`.
    let close = unsafe { &*close.cast::<Box<dyn Fn()>>() };
    // A panic must not cross into C. It was reported when it happened.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(close));
}
