//! A connection's socket, for a thread that may not wait: it writes beside the agent's thread, in the order that its users
//! keep.
//!
//! # Platform-specific behaviour
//! Windows: there is no [`Direct`], because a named pipe has one thread that writes. All is left to the agent's thread.

#[cfg_attr(not(unix), path = "direct/none.rs")]
#[cfg_attr(unix, path = "direct/unix.rs")]
mod platform;

pub use platform::Direct;
#[cfg(target_os = "linux")]
pub(super) use platform::SEND;
