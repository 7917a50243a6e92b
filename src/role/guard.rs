//! A second hold on the group, beside the lock file.
//!
//! The lock protects as long as its path leads to it. Should the group's folder be removed and made anew below a live
//! primary, another process can lock the new file. On Linux a primary therefore also binds an abstract socket name,
//! which no file operation can take away and which the kernel frees at the holder's death. Whoever finds it bound
//! connects to it: that makes the holder look at its path at once, and step down if it leads elsewhere.
//!
//! Abstract names have no permissions: one that another user's process holds is a squatter's, and is passed over.
//!
//! # Platform-specific behaviour
//! Elsewhere than on Linux there is no such name: there only the primary's timer finds the folder gone, so that for
//! up to [`crate::role::lock`]'s check interval two processes can believe that they are primary.

use std::path::Path;

#[cfg(target_os = "linux")]
use {
    interprocess::local_socket::traits::StreamCommon,
    interprocess::os::unix::uds_local_socket::Stream,
    std::io,
    std::os::fd::OwnedFd,
    std::os::linux::net::SocketAddrExt,
    std::os::unix::net::{SocketAddr, UnixListener},
};

/// What came of trying to bind the name.
#[derive(Debug)]
pub enum Attempt {
    /// The name is ours.
    Held(Guard),
    /// Another process of this user holds it; it was told to look at its path.
    Busy,
    /// Somebody holds it who can't be reached just now: a process of this user that is coming or going, or a squatter.
    Unknown,
}

/// The bound name. Dropping it, or dying, frees it.
#[derive(Debug)]
pub struct Guard {
    /// `None` where there are no such names, or a squatter holds ours.
    #[cfg(target_os = "linux")]
    listener: Option<tokio::net::UnixListener>,
}

/// Tries to bind the name of the group in `folder`. Needs a tokio runtime.
#[cfg(target_os = "linux")]
#[must_use]
pub fn try_hold(folder: &Path) -> Attempt {
    let name = format!("midway-process-agent/{}", crate::role::group::digest_of(folder));
    match bind(&name) {
        Ok(listener) => Attempt::Held(Guard { listener: Some(listener) }),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => who_holds(&name),
        Err(error) => {
            tracing::warn!("the group goes without its guard name, which can't be bound: {error}");
            Attempt::Held(Guard::none())
        }
    }
}

#[cfg(target_os = "linux")]
fn bind(name: &str) -> io::Result<tokio::net::UnixListener> {
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
    listener.set_nonblocking(true)?;
    tokio::net::UnixListener::from_std(listener)
}

/// Connects to the holder, which wakes it, and looks whose it is.
#[cfg(target_os = "linux")]
fn who_holds(name: &str) -> Attempt {
    let holder = connect(name).and_then(|stream| Stream::from(stream).peer_creds());
    match holder.map(|creds| creds.euid()) {
        Ok(Some(user)) if user == rustix::process::geteuid().as_raw() => Attempt::Busy,
        Ok(user) => {
            tracing::warn!("user {user:?} holds the group's guard name; the group goes without it");
            Attempt::Held(Guard::none())
        }
        Err(_) => Attempt::Unknown,
    }
}

/// Tries to bind the name of the group in `folder`.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn try_hold(_folder: &Path) -> Attempt {
    Attempt::Held(Guard::none())
}

/// Never waits: a holder that is frozen lets its queue fill up.
#[cfg(target_os = "linux")]
fn connect(name: &str) -> io::Result<OwnedFd> {
    use rustix::net::{connect, socket_with, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let stream = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&stream, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
    Ok(stream)
}

impl Guard {
    /// A guard that holds nothing.
    #[must_use]
    pub fn none() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            listener: None,
        }
    }

    /// Waits until somebody knocks: another process of this user that could lock the group's file.
    pub async fn knocked(&self) {
        #[cfg(target_os = "linux")]
        if let Some(listener) = &self.listener {
            if listener.accept().await.is_ok() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_process_finds_it_busy_and_the_holder_hears_the_knock() {
        let folder = tempfile::tempdir().unwrap();
        let Attempt::Held(guard) = try_hold(folder.path()) else { panic!("the first must hold it") };
        assert!(matches!(try_hold(folder.path()), Attempt::Busy));
        tokio::time::timeout(std::time::Duration::from_secs(5), guard.knocked()).await.unwrap();
        drop(guard);
        assert!(matches!(try_hold(folder.path()), Attempt::Held(_)));
    }
}
