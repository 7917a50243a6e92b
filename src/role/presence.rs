//! Who is in a group, as the kernel sees it: each member holds a shared lock on the group's folder for as long as it may
//! lead or follow. So whoever leaves can see that it is the last one, also when all leave at once and nobody leads any
//! more; and a member that was killed holds nothing.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use fd_lock::RwLock;

use super::lock::leads_to;
use super::user::User;

/// A member's hold on its group. Dropping it, or dying, frees it.
#[derive(Debug)]
pub struct Presence {
    folder: File,
}

impl Presence {
    /// Enters the group in `folder`. `None` while somebody who was the last one clears up, which is a moment's work, and
    /// when the folder was cleared away meanwhile.
    ///
    /// # Errors
    /// When the operating system has no such locks.
    ///
    /// # Platform-specific behaviour
    /// Windows: always an error; a folder can't be opened as a file there.
    pub fn enter(folder: &Path) -> io::Result<Option<Self>> {
        Self::hold(folder, |lock| lock.try_read().map(std::mem::forget))
    }

    /// Claims a folder that nobody is in; `None` where somebody is. Nobody enters as long as the claim is held.
    ///
    /// # Errors
    /// As [`Self::enter`].
    ///
    /// # Platform-specific behaviour
    /// As [`Self::enter`].
    pub fn claim(folder: &Path) -> io::Result<Option<Self>> {
        Self::hold(folder, |lock| lock.try_write().map(std::mem::forget))
    }

    /// `take` forgets the lock's guard, so that the lock lasts as long as the open file does.
    fn hold(
        folder: &Path,
        take: impl FnOnce(&mut RwLock<File>) -> io::Result<()>,
    ) -> io::Result<Option<Self>> {
        let mut lock = RwLock::new(open(folder)?);
        match take(&mut lock) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        let held = Self { folder: lock.into_inner() };
        // The folder may have been cleared away between opening and locking it.
        Ok(held.is_in(folder).then_some(held))
    }

    /// Whether the folder is this user's and closed to others.
    pub(super) fn is_private_to(&self, user: User) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            self.folder
                .metadata()
                .is_ok_and(|found| found.uid() == user.id() && found.mode() & 0o777 == 0o700)
        }
        #[cfg(not(unix))]
        {
            let _ = (&self.folder, user);
            true
        }
    }

    /// Whether `folder` is still the one that was entered.
    #[must_use]
    pub fn is_in(&self, folder: &Path) -> bool {
        leads_to(folder, &self.folder)
    }

    /// Leaves `folder`. Who is the last one does `clear_up`, and nobody enters meanwhile.
    pub fn leave(self, folder: &Path, clear_up: impl FnOnce()) {
        let is_in = self.is_in(folder);
        // Of several who leave at once, each gives up its shared lock first: the last to try finds no other.
        let mut lock = RwLock::new(self.folder);
        let alone = lock.try_write();
        if alone.is_ok() && is_in {
            clear_up();
        }
    }
}

/// Opens a folder itself: not what a link leads to, and without waiting where it is none.
fn open(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let flags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK);
        options.custom_flags(flags.bits().cast_signed());
    }
    options.open(folder)
}

#[cfg(all(test, unix))]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn enter(folder: &Path) -> Presence {
        Presence::enter(folder).unwrap().unwrap()
    }

    fn is_last(presence: Presence, folder: &Path) -> bool {
        let mut cleared = false;
        presence.leave(folder, || cleared = true);
        cleared
    }

    #[test]
    fn the_last_one_to_leave_clears_up_and_nobody_enters_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (enter(folder.path()), enter(folder.path()));
        assert!(!is_last(one, folder.path()));
        other.leave(folder.path(), || assert!(Presence::enter(folder.path()).unwrap().is_none()));
        assert!(is_last(enter(folder.path()), folder.path()));
    }

    #[test]
    fn of_many_who_leave_at_once_at_least_one_clears_up() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..50 {
            let all: Vec<_> = (0..8).map(|_| enter(folder.path())).collect();
            let cleared = std::thread::scope(|scope| {
                let leaving = all.into_iter().map(|each| scope.spawn(|| is_last(each, folder.path())));
                let threads: Vec<_> = leaving.collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).filter(|last| *last).count()
            });
            assert!(cleared > 0);
        }
    }

    #[test]
    fn a_folder_is_claimed_only_when_nobody_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let member = enter(folder.path());
        assert!(Presence::claim(folder.path()).unwrap().is_none());
        drop(member);
        let claim = Presence::claim(folder.path()).unwrap().unwrap();
        assert!(Presence::enter(folder.path()).unwrap().is_none());
        drop(claim);
        enter(folder.path());
    }

    #[test]
    fn who_is_in_a_folder_that_was_replaced_clears_nothing_up() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("group");
        std::fs::create_dir(&folder).unwrap();
        let before = enter(&folder);
        std::fs::rename(&folder, base.path().join("moved")).unwrap();
        std::fs::create_dir(&folder).unwrap();
        assert!(!before.is_in(&folder));
        assert!(!is_last(before, &folder));
    }
}
