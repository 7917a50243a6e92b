//! A second hold on the group, beside the lock file.
//!
//! The lock protects as long as its path leads to it. Should the group's folder be removed and made anew below a live
//! primary, another process can lock the new file. On Linux a primary therefore also binds an abstract socket name,
//! which no file operation can take away and which the kernel frees at the holder's death. Whoever finds it bound
//! connects to it: that makes the holder look at its path at once, and step down if it leads elsewhere.
//!
//! The name follows from the folder's path alone: two processes that see different folders at one path must find each
//! other by it, so that nothing in the folder can make it a secret. Abstract names have no permissions: one that another
//! user's process holds is a squatter's, and is passed over. Where it does not let itself be connected to, the kernel is
//! asked whose it is ([`owner`]).
//!
//! # Platform-specific behaviour
//! Elsewhere than on Linux there is no such name: there only the primary's timer finds the folder gone, so that for
//! up to [`crate::role::lock`]'s check interval two processes can believe that they are primary.

#[cfg(target_os = "linux")]
mod owner;

use std::path::Path;

use crate::role::user::User;

#[cfg(target_os = "linux")]
use {
    interprocess::local_socket::traits::StreamCommon,
    interprocess::os::unix::uds_local_socket::Stream,
    rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
    std::cell::Cell,
    std::future::poll_fn,
    std::io,
    std::os::fd::OwnedFd,
    std::task::Poll,
    std::time::Duration,
    tokio::time::Instant,
};

/// How many knocks wait for the holder. More find it full, and need not wait: it hears those that it has.
#[cfg(target_os = "linux")]
const BACKLOG: i32 = 16;
/// How many knocks are looked at together.
#[cfg(target_os = "linux")]
const TOGETHER: usize = 32;
/// How long nothing is heard after a knock: without bound, knocks of other users' processes would cost half a processor.
#[cfg(target_os = "linux")]
const PAUSE: Duration = Duration::from_millis(25);

/// What came of trying to bind the name.
#[derive(Debug)]
pub enum Attempt {
    /// The name is ours.
    Held(Guard),
    /// A process of this user holds it; it was told to look at its path, if it listens.
    Busy,
    /// Somebody holds it who listens and takes no connection, and the kernel does not tell whose it is: it may be a process
    /// of this user that is frozen.
    Full,
    /// It was bound, and does not listen: it is coming or going, or is a squatter that the kernel does not tell of.
    Unknown,
}

/// The bound name. Dropping it, or dying, frees it.
#[derive(Debug)]
pub struct Guard {
    /// `None` where there are no such names, or a squatter holds ours.
    #[cfg(target_os = "linux")]
    listener: Option<tokio::net::UnixListener>,
    /// Until when nothing is heard.
    #[cfg(target_os = "linux")]
    deaf_until: Cell<Instant>,
    user: User,
}

/// Tries to bind the name of `user`'s group in `folder`. Needs a tokio runtime.
#[cfg(target_os = "linux")]
#[must_use]
pub fn try_hold(folder: &Path, user: User) -> Attempt {
    let name = format!("midway-process-agent/{}", crate::role::group::digest_of(folder));
    match bind(&name) {
        Ok(listener) => Attempt::Held(Guard { listener: Some(listener), ..Guard::none(user) }),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => who_holds(&name, user),
        Err(error) => {
            tracing::warn!("the group goes without its guard name, which can't be bound: {error}");
            Attempt::Held(Guard::none(user))
        }
    }
}

/// Tries to bind the name of `user`'s group in `folder`.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn try_hold(_folder: &Path, user: User) -> Attempt {
    Attempt::Held(Guard::none(user))
}

#[cfg(target_os = "linux")]
fn bind(name: &str) -> io::Result<tokio::net::UnixListener> {
    let socket = socket()?;
    rustix::net::bind(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    tokio::net::UnixListener::from_std(socket.into())
}

#[cfg(target_os = "linux")]
fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

/// Connects to the holder, which wakes it, and looks whose it is.
#[cfg(target_os = "linux")]
fn who_holds(name: &str, user: User) -> Attempt {
    // Never waits: a holder that is frozen lets its queue fill up.
    let connected = socket().and_then(|socket| {
        rustix::net::connect(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
        Stream::from(socket).peer_creds()
    });
    let (owner, is_full) = match connected {
        Ok(creds) => (creds.euid().ok_or(io::ErrorKind::Unsupported.into()).map(Some), false),
        Err(error) => (owner::of_name(name), error.kind() == io::ErrorKind::WouldBlock),
    };
    match owner {
        Ok(Some(owner)) if user.trusts(owner) => Attempt::Busy,
        Ok(Some(owner)) => {
            tracing::warn!("user {owner} holds the group's guard name; the group goes without it");
            Attempt::Held(Guard::none(user))
        }
        Err(_) if is_full => Attempt::Full,
        Ok(None) | Err(_) => Attempt::Unknown,
    }
}

impl Guard {
    /// A guard that holds nothing, of `user`'s group.
    #[must_use]
    pub fn none(user: User) -> Self {
        Self {
            #[cfg(target_os = "linux")]
            listener: None,
            #[cfg(target_os = "linux")]
            deaf_until: Cell::new(Instant::now()),
            user,
        }
    }

    /// Waits until somebody knocks: another process of this user that could lock the group's file. Safe to cancel.
    #[cfg(target_os = "linux")]
    pub async fn knocked(&self) {
        let Some(listener) = &self.listener else { return std::future::pending().await };
        loop {
            tokio::time::sleep_until(self.deaf_until.get()).await;
            let Ok((first, _)) = listener.accept().await else { return std::future::pending().await };
            self.deaf_until.set(Instant::now() + PAUSE);
            let mut heard = 1;
            let mut is_ours = self.is_ours(&first);
            while heard < TOGETHER {
                let next = poll_fn(|context| Poll::Ready(listener.poll_accept(context))).await;
                let Poll::Ready(Ok((next, _))) = next else { break };
                heard += 1;
                is_ours |= self.is_ours(&next);
            }
            // Where others keep the queue full, one of ours may not come through.
            if is_ours || heard >= TOGETHER.min(BACKLOG.unsigned_abs() as usize) {
                return;
            }
        }
    }

    /// Waits until somebody knocks, which nobody does here.
    #[cfg(not(target_os = "linux"))]
    pub async fn knocked(&self) {
        let _ = self.user;
        std::future::pending::<()>().await;
    }

    #[cfg(target_os = "linux")]
    fn is_ours(&self, knock: &tokio::net::UnixStream) -> bool {
        knock.peer_cred().is_ok_and(|creds| self.user.trusts(creds.uid()))
    }
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use tokio::time::timeout;

    fn hold(folder: &Path) -> Guard {
        let Attempt::Held(guard) = try_hold(folder, User::current()) else {
            panic!("the first must hold it")
        };
        guard
    }

    fn is_busy(folder: &Path) -> bool {
        matches!(try_hold(folder, User::current()), Attempt::Busy)
    }

    #[tokio::test]
    async fn a_second_process_finds_it_busy_and_the_holder_hears_the_knock() {
        let folder = tempfile::tempdir().unwrap();
        let guard = hold(folder.path());
        assert!(is_busy(folder.path()));
        timeout(Duration::from_secs(5), guard.knocked()).await.unwrap();
        drop(guard);
        hold(folder.path());
    }

    #[tokio::test]
    async fn knocks_without_end_are_heard_a_bounded_number_of_times_and_find_it_busy() {
        let folder = tempfile::tempdir().unwrap();
        let guard = hold(folder.path());
        let began = Instant::now();
        for _ in 0..8 {
            for _ in 0..50 {
                assert!(is_busy(folder.path()));
            }
            timeout(Duration::from_secs(5), guard.knocked()).await.unwrap();
        }
        // Between eight of them there are seven pauses.
        assert!(began.elapsed() >= PAUSE * 7, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_name_that_is_bound_without_listening_is_known_by_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("midway-process-agent/{}", crate::role::group::digest_of(folder.path()));
        let squatter = socket().unwrap();
        rustix::net::bind(&squatter, &SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap()).unwrap();
        let own = User::current();
        // To another user this process is a squatter; root is none to anybody.
        let other = User::of_id(own.id() + 1);
        let Ok(Some(owner)) = owner::of_name(&name) else {
            println!("skipped: this kernel does not tell whose a socket is");
            return;
        };
        assert_eq!(owner, own.id());
        assert!(matches!(try_hold(folder.path(), own), Attempt::Busy));
        if !other.trusts(own.id()) {
            assert!(matches!(try_hold(folder.path(), other), Attempt::Held(_)));
        }
        drop(squatter);
        assert_eq!(owner::of_name(&name).unwrap(), None);
    }
}
