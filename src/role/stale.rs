//! Clears folders of groups that nobody holds any more: a group whose name has a pid in it never comes back to its folder,
//! and a group whose processes were killed leaves its files.
//!
//! A folder is cleared only while its two locks are held: the one that each member shares ([`Presence`]), and the one that
//! makes a primary. A process that starts at that moment finds the folder either held or gone, and makes it anew.
//! What a group that comes back later needs is kept: its epoch counts for the [`floor`], and state that was handed over a
//! short time ago stays. Its metrics begin anew without any of its members anyway.
//!
//! # Platform-specific behaviour
//! Windows: nothing is cleared; a folder has no lock there.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::debug;

use super::presence::Presence;
use super::user::User;
use super::{file, floor, handover, lock, metrics_file};
use crate::time::now_ms;

/// How many names of the runtime folder are read in one start.
const MOST_READ: usize = 10_000;
/// How many folders are looked at in one start.
const MOST_SEEN: usize = 256;
/// How many folders are cleared in one start.
const MOST_CLEARED: usize = 64;
/// The pause between two folders: the agent's thread has other work.
const PAUSE: Duration = Duration::from_millis(1);

/// The socket's name; see [`super::group::socket_path`].
const SOCKET: &str = "socket";

/// Clears folders in `runtime_dir` of groups of `user` that nobody holds, but for `own`: a bounded number of them.
pub async fn sweep(runtime_dir: PathBuf, own: PathBuf, user: User) {
    let mut cleared = 0;
    for folder in some_folders(&runtime_dir, &own) {
        match clear(&folder, user) {
            Ok(true) => cleared += 1,
            Ok(false) => {}
            // Another process is clearing it, for one.
            Err(error) => debug!("{} stays: {error}", folder.display()),
        }
        if cleared == MOST_CLEARED {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    if cleared > 0 {
        debug!("cleared {cleared} folders of groups that nobody holds in {}", runtime_dir.display());
    }
}

/// A part of all groups' folders, each time another one: where there are many living groups, every folder has its turn.
fn some_folders(runtime_dir: &Path, own: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(runtime_dir) else { return Vec::new() };
    let mut folders: Vec<_> = entries
        .take(MOST_READ)
        .filter_map(Result::ok)
        .filter(|entry| is_name_of_a_group(&entry.file_name()))
        .map(|entry| entry.path())
        .filter(|path| path != own)
        .collect();
    if !folders.is_empty() {
        let mut random = [0; 4];
        // Without random bytes it is the same part each time.
        let _ = getrandom::fill(&mut random);
        let first = u32::from_le_bytes(random) as usize % folders.len();
        folders.rotate_left(first);
        folders.truncate(MOST_SEEN);
    }
    folders
}

/// As [`super::group::GroupKey::folder`] makes it: a name, and 16 hexadecimal digits.
fn is_name_of_a_group(name: &OsStr) -> bool {
    let Some((_, hash)) = name.to_str().and_then(|name| name.rsplit_once('-')) else { return false };
    hash.len() == 16 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Clears `folder` if nobody holds it and nothing in it is needed or strange. Tells whether it is gone.
///
/// # Errors
/// When a file can't be read, locked or removed; the folder stays a folder that can be cleared later.
pub fn clear(folder: &Path, user: User) -> io::Result<bool> {
    let Some(claim) = Presence::claim(folder)? else { return Ok(false) };
    if !claim.is_private_to(user) || handover::awaits_the_next(folder) {
        return Ok(false);
    }
    let [first, second] = metrics_file::NAMES;
    // The lock file last: a folder that is cleared in part still has its epoch.
    let known = [SOCKET, handover::NAME, handover::UNFINISHED, first, second, lock::NAME];
    let found: HashSet<_> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    if !found.iter().all(|name| known.iter().any(|known| name == known)) {
        return Ok(false);
    }
    // A member of an older version of the package may hold this lock alone.
    let mut held = None;
    if found.contains(OsStr::new(lock::NAME)) {
        let Some(mut lock) = lock::try_hold(folder).map_err(io::Error::other)? else { return Ok(false) };
        if let Some(epoch) = lock.last_epoch()? {
            // One that is ahead of the clock would lift all other groups above it as well.
            if epoch.0 > now_ms() {
                return Ok(false);
            }
            floor::raise(folder, epoch)?;
        }
        held = Some(lock);
    }
    for name in known {
        file::remove(&folder.join(name))?;
    }
    std::fs::remove_dir(folder)?;
    drop((held, claim));
    Ok(true)
}

#[cfg(all(test, unix))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::role::group::{socket_path, GroupKey};
    use crate::role::Epoch;
    use std::fs;
    use std::os::unix::fs::{symlink, DirBuilderExt};

    /// A folder as a group leaves it whose processes were killed in epoch 7.
    fn left_by_the_dead(runtime: &Path) -> PathBuf {
        let folder = GroupKey::new("dead", "cluster:1:1").folder(runtime);
        fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
        drop(std::os::unix::net::UnixListener::bind(socket_path(&folder)).unwrap());
        fs::write(folder.join("lock"), "00000000000000000007\n").unwrap();
        for name in metrics_file::NAMES {
            fs::write(folder.join(name), "x").unwrap();
        }
        folder
    }

    fn clears(folder: &Path) -> bool {
        let cleared = clear(folder, User::current()).unwrap();
        assert_ne!(folder.exists(), cleared);
        cleared
    }

    #[test]
    fn what_the_dead_have_left_is_cleared_and_their_epoch_is_kept() {
        let runtime = tempfile::tempdir().unwrap();
        let folder = left_by_the_dead(runtime.path());
        assert_eq!(some_folders(runtime.path(), Path::new("/")), std::slice::from_ref(&folder));
        assert!(clears(&folder));
        assert_eq!(floor::of(&folder), Some(Epoch(7)));
    }

    #[test]
    fn who_holds_either_lock_keeps_the_folder() {
        let runtime = tempfile::tempdir().unwrap();
        let folder = left_by_the_dead(runtime.path());
        let member = Presence::enter(&folder).unwrap().unwrap();
        assert!(!clears(&folder));
        drop(member);
        let lock = lock::try_hold(&folder).unwrap().unwrap();
        assert!(!clears(&folder));
        drop(lock);
        assert!(clears(&folder));
    }

    #[test]
    fn a_state_that_was_handed_over_a_moment_ago_keeps_the_folder() {
        let runtime = tempfile::tempdir().unwrap();
        let folder = left_by_the_dead(runtime.path());
        handover::leave(&folder, Epoch(7), b"state").unwrap();
        assert!(!clears(&folder));
        let old = std::time::SystemTime::now() - Duration::from_secs(120);
        fs::File::options().write(true).open(folder.join("handover")).unwrap().set_modified(old).unwrap();
        assert!(clears(&folder));
    }

    #[test]
    fn an_epoch_ahead_of_the_clock_keeps_the_folder() {
        let runtime = tempfile::tempdir().unwrap();
        let folder = left_by_the_dead(runtime.path());
        fs::write(folder.join("lock"), format!("{:020}\n", now_ms() + 1_000_000)).unwrap();
        assert!(!clears(&folder));
    }

    #[test]
    fn what_is_not_ours_is_not_touched() {
        let runtime = tempfile::tempdir().unwrap();
        let folder = left_by_the_dead(runtime.path());
        fs::write(folder.join("notes"), "x").unwrap();
        assert!(!clears(&folder));
        fs::remove_file(folder.join("notes")).unwrap();
        let link = runtime.path().join("link-0123456789abcdef");
        symlink(&folder, &link).unwrap();
        assert!(clear(&link, User::current()).is_err());
        assert!(folder.join("lock").exists());
        assert!(!clear(&folder, User::of_id(User::current().id() + 1)).unwrap());
        for name in ["epoch", "x-0123456789ABCDEF", "x-123", "0123456789abcdef"] {
            assert!(!is_name_of_a_group(OsStr::new(name)), "{name}");
        }
    }
}
