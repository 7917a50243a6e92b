//! The highest epoch of all groups whose folders were cleared away, in the file `epoch` of the runtime folder. A group
//! that comes back starts above it, also where the clock was set back meanwhile.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fd_lock::RwLock;

use super::lock::parse_epoch;
use crate::role::{file, Epoch};

/// The file's name. No group's folder has it: theirs end in a hash.
const NAME: &str = "epoch";

fn path(group_folder: &Path) -> Option<PathBuf> {
    group_folder.parent().map(|runtime_dir| runtime_dir.join(NAME))
}

/// The floor for the group in `group_folder`; `None` where no folder was cleared away yet.
#[must_use]
pub fn of(group_folder: &Path) -> Option<Epoch> {
    file::open(&path(group_folder)?).and_then(|mut file| read(&mut file)).ok().flatten()
}

/// Raises the floor to `epoch` at the least. Does not wait for another process that is raising it.
///
/// # Errors
/// When the file can't be locked at once, or written.
pub fn raise(group_folder: &Path, epoch: Epoch) -> io::Result<()> {
    let path = path(group_folder).ok_or(io::ErrorKind::NotFound)?;
    let mut lock = RwLock::new(file::open_or_create(&path)?);
    let mut file = lock.try_write()?;
    if read(&mut file)?.is_some_and(|floor| floor >= epoch) {
        return Ok(());
    }
    // One write of a fixed width, as in the lock file.
    let line = format!("{:020}\n", epoch.0);
    file.seek(SeekFrom::Start(0))?;
    file.write_all(line.as_bytes())?;
    file.set_len(line.len() as u64)
}

fn read(file: &mut File) -> io::Result<Option<Epoch>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    Read::by_ref(file).take(64).read_to_end(&mut bytes)?;
    Ok(parse_epoch(&bytes))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_never_falls() {
        let base = tempfile::tempdir().unwrap();
        let group = base.path().join("group");
        assert_eq!(of(&group), None);
        for (raised, floor) in [(7, 7), (5, 7), (9, 9)] {
            raise(&group, Epoch(raised)).unwrap();
            assert_eq!(of(&group), Some(Epoch(floor)));
        }
    }
}
