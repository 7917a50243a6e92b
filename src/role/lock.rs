//! The lock file: who holds its lock is primary, and it carries the epoch.
//!
//! The lock has `flock` semantics: it is held by the open file, works between threads of one process, and the kernel
//! frees it when the holder dies, by whatever death. So a stale file never matters, and the file is never unlinked.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fd_lock::RwLock;

use crate::error::{AgentError, Result};
use crate::role::{file, floor, Epoch};
use crate::time::now_ms;

/// The largest epoch that JavaScript can hold as a number, and that is left room to grow.
const MAX_EPOCH: u64 = (1 << 53) - 1;

/// The lock file's name in the group's folder.
pub(super) const NAME: &str = "lock";

/// A lock that is held. Dropping it, or dying, frees it.
#[derive(Debug)]
pub struct HeldLock {
    file: File,
    path: PathBuf,
}

/// Takes the lock of the group in `folder`, if nobody holds it. Never waits.
///
/// # Errors
/// [`AgentError::Lock`] when the file can't be opened or locked for another reason than a holder.
pub fn try_hold(folder: &Path) -> Result<Option<HeldLock>> {
    let path = folder.join(NAME);
    let failed = |source| AgentError::Lock { path: path.clone(), source };
    let mut file = RwLock::new(file::open_or_create(&path).map_err(failed)?);
    match file.try_write() {
        // Forgotten, so that the lock lasts as long as the open file does.
        Ok(guard) => std::mem::forget(guard),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            return Ok(None);
        }
        Err(source) => return Err(failed(source)),
    }
    let held = HeldLock { file: file.into_inner(), path: path.clone() };
    // The file may have been replaced between opening and locking it: then this lock protects nothing.
    Ok(held.leads_to_path().then_some(held))
}

impl HeldLock {
    /// Raises the epoch in the file and returns the new one. Called before the new primary listens.
    ///
    /// A file that holds no epoch yet starts from the clock (ms since 1970), and above all groups whose folders were
    /// cleared away ([`floor`]), not from 1: if the folder was removed and made anew, the epochs must not start over.
    ///
    /// # Errors
    /// [`AgentError::Lock`] when the file can't be read or written.
    pub fn raise_epoch(&mut self) -> Result<Epoch> {
        self.raise().map_err(|source| AgentError::Lock { path: self.path.clone(), source })
    }

    fn raise(&mut self) -> io::Result<Epoch> {
        let next = self.last_epoch()?.map_or_else(|| self.first_epoch(), |epoch| epoch.0 + 1);
        // One write of a fixed width: whoever is killed around it leaves a whole number, the old or the new.
        let line = format!("{next:020}\n");
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(line.as_bytes())?;
        self.file.set_len(line.len() as u64)?;
        Ok(Epoch(next))
    }

    fn first_epoch(&self) -> u64 {
        let floor = self.path.parent().and_then(floor::of).map_or(0, |floor| floor.0 + 1);
        now_ms().max(floor)
    }

    /// The epoch that the file holds; `None` where it holds none.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn last_epoch(&mut self) -> io::Result<Option<Epoch>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        Read::by_ref(&mut self.file).take(64).read_to_end(&mut bytes)?;
        Ok(parse_epoch(&bytes))
    }

    /// Whether the path still leads to the file that is locked. If not, another process may hold another lock of the
    /// same name, and this one is worth nothing.
    ///
    /// # Platform-specific behaviour
    /// Windows: always true; an open file's folder can't be removed there.
    #[must_use]
    pub fn leads_to_path(&self) -> bool {
        leads_to(&self.path, &self.file)
    }
}

/// The epoch that a file of one line holds, if it holds one.
pub(super) fn parse_epoch(bytes: &[u8]) -> Option<Epoch> {
    let epoch = std::str::from_utf8(bytes).ok()?.trim().parse().ok()?;
    (epoch < MAX_EPOCH).then_some(Epoch(epoch))
}

/// Whether a path leads to the file that is open; see [`HeldLock::leads_to_path`]. A process that may not enter the folder
/// any more, because it has changed its user, sees only whether the file was removed.
pub(super) fn leads_to(path: &Path, file: &File) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let Ok(open) = file.metadata() else { return false };
        match std::fs::symlink_metadata(path) {
            Ok(at_path) => (at_path.dev(), at_path.ino()) == (open.dev(), open.ino()),
            Err(error) => error.kind() == io::ErrorKind::PermissionDenied && open.nlink() > 0,
        }
    }
    #[cfg(not(unix))]
    {
        let _ = (path, file);
        true
    }
}

#[cfg(all(test, unix))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn one_holds_and_the_next_takes_it_over_with_a_higher_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = try_hold(folder.path()).unwrap().unwrap();
        assert!(try_hold(folder.path()).unwrap().is_none());
        let before = first.raise_epoch().unwrap();
        drop(first);
        let after = try_hold(folder.path()).unwrap().unwrap().raise_epoch().unwrap();
        assert_eq!(after, Epoch(before.0 + 1));
    }

    #[test]
    fn an_unreadable_epoch_starts_from_the_clock() {
        for garbage in [&b"no number"[..], &[0xff; 40], b"99999999999999999999999", b"9007199254740991", b""]
        {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(NAME), garbage).unwrap();
            let epoch = try_hold(folder.path()).unwrap().unwrap().raise_epoch().unwrap();
            assert!(epoch.0 > 1_600_000_000_000 && epoch.0 < MAX_EPOCH, "{epoch}");
        }
    }

    #[test]
    fn a_new_file_starts_above_the_groups_that_were_cleared_away() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("group");
        fs::create_dir(&folder).unwrap();
        // As if the clock had been set back since.
        let ahead = Epoch(now_ms() + 1_000_000);
        floor::raise(&folder, ahead).unwrap();
        assert_eq!(try_hold(&folder).unwrap().unwrap().raise_epoch().unwrap(), Epoch(ahead.0 + 1));
    }

    #[test]
    fn a_holder_sees_that_its_folder_was_removed_and_made_anew() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("group");
        fs::create_dir(&folder).unwrap();
        let held = try_hold(&folder).unwrap().unwrap();
        assert!(held.leads_to_path());
        fs::remove_dir_all(&folder).unwrap();
        assert!(!held.leads_to_path());
        fs::create_dir(&folder).unwrap();
        let other = try_hold(&folder).unwrap().unwrap();
        assert!(!held.leads_to_path());
        assert!(other.leads_to_path());
    }

    #[test]
    fn a_link_in_place_of_the_lock_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/null", folder.path().join(NAME)).unwrap();
        assert_eq!(try_hold(folder.path()).unwrap_err().code(), "ERR_AGENT_RUNTIME_DIR");
    }
}
